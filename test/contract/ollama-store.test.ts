/** Blobs, create, show, tags, copy and delete through the application (api.md 9 and 10). */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { type Application, masked, openApplication } from "../support/application.ts";
import { ggufBytes } from "../support/gguf.ts";

let application: Application;
beforeEach(() => {
  application = openApplication();
});
afterEach(() => application[Symbol.asyncDispose]());

const sha256 = (bytes: string | Uint8Array) =>
  new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

function upload(
  digest: string,
  body: string | Uint8Array | ReadableStream<Uint8Array>,
): Promise<Response> {
  const url = `http://localhost/api/blobs/${digest}`;
  return application.app.handle(new Request(url, { method: "POST", body }));
}

const outcome = async (answer: Response) => [answer.status, await answer.text()];
const head = async (digest: string) =>
  (await application.send("HEAD", `/api/blobs/${digest}`)).status;
const names = async () => {
  const answer = await application.send("GET", "/api/tags");
  return ((await answer.json()) as { models: { name: string }[] }).models.map(({ name }) => name);
};

describe("blobs", () => {
  const digest = `sha256:${sha256("hello")}`;

  test("are stored once and found afterwards, under any spelling of the digest", async () => {
    expect(await head(digest)).toBe(404);
    expect(await outcome(await upload(digest, "hello"))).toEqual([201, ""]);
    expect(await outcome(await upload(digest, "hello"))).toEqual([200, ""]);
    const spellings = [digest, digest.replace(":", "-"), digest.replace(":", "%3A")];
    expect(await Promise.all(spellings.map(head))).toEqual([200, 200, 200]);
  });

  test("are hashed as they stream in, in any number of chunks", async () => {
    const chunk = new Uint8Array(100_000).fill(7);
    const whole = sha256(Buffer.concat(Array.from({ length: 20 }, () => chunk)));
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent++ < 20) controller.enqueue(chunk);
        else controller.close();
      },
    });
    expect(await outcome(await upload(`sha256:${whole}`, body))).toEqual([201, ""]);
  });

  test("with another content than promised are refused, and nothing is left of them", async () => {
    expect(await outcome(await upload(digest, "other"))).toEqual([
      400,
      JSON.stringify({
        error: `digest mismatch, expected "${digest}", got "sha256:${sha256("other")}"`,
      }),
    ]);
    expect(await head(digest)).toBe(404);
    expect(readdirSync(`${application.store.root}/blobs`)).toEqual([]);
  });

  test.each(["sha256:abc", "md5:0", "sha256:..%2F..%2Fx"])("%s is no digest", async (name) => {
    const answer = await outcome(await upload(name, "x"));
    expect(answer).toEqual([400, '{"error":"invalid digest format"}']);
  });
});

describe("create", () => {
  test("from a file tells its layers one by one, and ends in success", async () => {
    const bytes = ggufBytes();
    const digest = `sha256:${sha256(bytes)}`;
    await upload(digest, bytes);
    const lines = await application.lines("/api/create", {
      model: "a",
      files: { "x.gguf": digest },
      system: "S",
    });
    const statuses = lines.map((line) => (line as { status: string }).status);
    expect(statuses.map((status) => status.replace(/[0-9a-f]{64}/, "…"))).toEqual([
      "parsing GGUF",
      "using existing layer sha256:…",
      "creating new layer sha256:…",
      "writing manifest",
      "success",
    ]);
    expect(await names()).toEqual(["a:latest"]);
  });

  test("without streaming answers with its last state, as plain JSON without charset", async () => {
    await application.create("a");
    const answer = await application.send("POST", "/api/create", {
      name: "b",
      from: "a",
      stream: false,
    });
    expect([answer.headers.get("content-type"), await answer.text()]).toEqual([
      "application/json",
      '{"status":"success"}',
    ]);
    expect((await names()).toSorted()).toEqual(["a:latest", "b:latest"]);
  });

  test("serves the old form with a Modelfile's text", async () => {
    await application.create("a");
    const modelfile = "FROM a\nSYSTEM You are old.\nPARAMETER top_k 3";
    const { status } = await application.post("/api/create", {
      name: "b",
      modelfile,
      stream: false,
    });
    const shown = await application.post("/api/show", { name: "b" });
    expect(status).toBe(200);
    expect(shown.body).toMatchObject({
      system: "You are old.",
      parameters: "top_k                          3",
    });
  });

  test.each([
    [{ model: "x" }, 400, "neither 'from' or 'files' was specified"],
    [{ model: "x", files: { "/x": "sha256:0" } }, 400, "file path must be relative"],
    [{ model: "x", files: { "x.gguf": "" } }, 400, "invalid digest format"],
    [
      { model: "x", from: "a", license: 5 },
      500,
      "json: cannot unmarshal number into Go value of type []string",
    ],
    [
      { model: "x", from: "a", license: [null, "MIT", ["BSD"]] },
      500,
      "json: cannot unmarshal array into Go value of type string",
    ],
    [{ model: "x", from: "a b" }, 400, "invalid model name"],
  ])("%p is refused before anything is written", async (fields, status, error) => {
    await application.create("a");
    for (const stream of [true, false]) {
      const answer = await application.post("/api/create", { ...fields, stream });
      expect(answer).toEqual({ status, body: { error } });
    }
    expect(await names()).toEqual(["a:latest"]);
  });
});

describe("show", () => {
  test("tells everything about a model, keys in Ollama's order", async () => {
    await application.create("a", {
      system: "S",
      template: "{{ .Prompt }}!",
      parameters: { stop: ["x"], top_k: 3 },
      license: "MIT",
    });
    const { status, body } = await application.post("/api/show", { model: "A" });
    const { modelfile, ...shown } = body as { modelfile: string };
    expect(status).toBe(200);
    expect(modelfile).toContain("# FROM a:latest\n");
    expect(modelfile).toContain(`PARAMETER stop x\nPARAMETER top_k 3\n`);
    expect(JSON.stringify(masked(shown))).toBe(
      JSON.stringify({
        license: "MIT",
        parameters: `${"stop".padEnd(30)} "x"\n${"top_k".padEnd(30)} 3`,
        template: "{{ .Prompt }}!",
        system: "S",
        details: {
          parent_model: "",
          format: "gguf",
          family: "llama",
          families: ["llama"],
          parameter_size: "32",
          quantization_level: "unknown",
        },
        model_info: {
          "general.architecture": "llama",
          "general.parameter_count": 32,
          "llama.attention.head_count": 2,
          "llama.block_count": 1,
          "llama.context_length": 2048,
          "llama.embedding_length": 8,
        },
        tensors: [{ name: "token_embd.weight", type: "F32", shape: [8, 4] }],
        capabilities: ["completion"],
        modified_at: "time",
      }),
    );
  });
});

describe("copy and delete", () => {
  test("answer with nothing", async () => {
    await application.create("a");
    const copied = await application.send("POST", "/api/copy", {
      source: "a",
      destination: "u/b:c",
    });
    expect(await outcome(copied)).toEqual([200, ""]);
    expect((await names()).toSorted()).toEqual(["a:latest", "u/b:c"]);
    const deleted = await application.send("DELETE", "/api/delete", { name: "a" });
    expect(await outcome(deleted)).toEqual([200, ""]);
    expect(await names()).toEqual(["u/b:c"]);
  });

  test("a tag that is the cloud's word can be deleted as it was made", async () => {
    await application.create("a");
    for (const name of ["a:cloud", "a:1-cloud"]) {
      await application.send("POST", "/api/copy", { source: "a", destination: name });
      expect((await names()).toSorted()).toEqual([name, "a:latest"].toSorted());
      const deleted = await application.send("DELETE", "/api/delete", { model: name });
      expect(await outcome(deleted)).toEqual([200, ""]);
    }
    expect(await names()).toEqual(["a:latest"]);
  });

  test("the last name of a model takes its blobs along", async () => {
    await application.create("a");
    const blobs = `${application.store.root}/blobs`;
    expect(readdirSync(blobs).length).toBeGreaterThan(0);
    await application.send("DELETE", "/api/delete", { model: "a" });
    expect(readdirSync(blobs)).toEqual([]);
  });
});

describe("the embedded model", () => {
  const ggufPath = `${process.env.TMPDIR ?? "/tmp"}/hutch-guide-${process.pid}.gguf`;
  beforeEach(async () => {
    await application[Symbol.asyncDispose]();
    await Bun.write(ggufPath, ggufBytes());
    const guide = { ggufPath, template: "{{ .Prompt }}", params: '{"top_k":1}', license: "MIT" };
    application = openApplication({ guide });
    expect(await names()).toEqual([]);
  });
  afterEach(() => rmSync(ggufPath));

  test("is installed when somebody asks for it, and not before", async () => {
    const { body } = await application.post("/api/generate", {
      model: "guide",
      prompt: "x",
      stream: false,
    });
    expect(body).toMatchObject({ model: "guide", response: "Hello there" });
    expect(await names()).toEqual(["guide:latest"]);
    expect(application.engine.requests[0]?.sampling.topK).toBe(1);
  });

  test("is copied before anybody has used it", async () => {
    const { status } = await application.send("POST", "/api/copy", {
      source: "guide",
      destination: "mine",
    });
    expect(status).toBe(200);
    expect((await names()).toSorted()).toEqual(["guide:latest", "mine:latest"]);
  });

  test("is pulled from the executable, and only as it was locked", async () => {
    const digest = "0".repeat(64);
    expect(await application.post("/api/pull", { model: "guide", digest })).toEqual({
      status: 409,
      body: {
        error: expect.stringMatching(/^pull "guide:latest": this hutch has .*locked is 0{12}$/),
      },
    });
    expect(await application.lines("/api/pull", { model: "guide" })).toEqual([
      { status: "success" },
    ]);
    expect(await names()).toEqual(["guide:latest"]);
  });
});
