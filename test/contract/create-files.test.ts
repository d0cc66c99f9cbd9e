/** Creating from files through the application: conversions, uploads in pieces, requests of 2024. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Application, openApplication } from "../support/application.ts";
import { ggufBytes } from "../support/gguf.ts";
import {
  decoderConfig,
  decoderTensors,
  safetensorsBytes,
  tokenizerFiles,
} from "../support/safetensors.ts";

let application: Application;
beforeEach(() => {
  application = openApplication();
});
afterEach(() => application[Symbol.asyncDispose]());

const sha256 = (bytes: string | Uint8Array) =>
  `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

async function upload(bytes: string | Uint8Array): Promise<string> {
  const digest = sha256(bytes);
  const url = `http://localhost/api/blobs/${digest}`;
  await application.app.handle(new Request(url, { method: "POST", body: bytes }));
  return digest;
}

async function uploadAll(
  files: Readonly<Record<string, unknown>>,
): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const [name, content] of Object.entries(files)) {
    digests[name] = await upload(content instanceof Uint8Array ? content : JSON.stringify(content));
  }
  return digests;
}

const folderFiles = {
  ...tokenizerFiles,
  "config.json": decoderConfig("LlamaForCausalLM"),
  "model.safetensors": safetensorsBytes(decoderTensors()),
};

const blobFolder = () => join(application.store.root, "blobs");

describe("a folder of safetensors", () => {
  test("becomes a model, told in the lines of the reference", async () => {
    const files = await uploadAll(folderFiles);
    const lines = (await application.lines("/api/create", { model: "made", files })) as {
      status: string;
    }[];
    expect(lines.map(({ status }) => status.replace(/sha256:.*/, "…"))).toEqual([
      "converting model",
      "verifying conversion",
      "creating new layer …",
      "writing manifest",
      "success",
    ]);
    const shown = await application.post("/api/show", { model: "made" });
    expect(shown.body).toMatchObject({
      details: { family: "llama", quantization_level: "F16" },
      model_info: { "llama.block_count": 1 },
    });
  });

  test("that cannot be converted is refused by name, and leaves nothing half made", async () => {
    const config = decoderConfig("LlamaForCausalLM", { num_attention_heads: 0 });
    const files = await uploadAll({ ...folderFiles, "config.json": config });
    const before = readdirSync(blobFolder()).sort();
    const wanted = { model: "made", files, stream: false };
    expect(await application.post("/api/create", wanted)).toEqual({
      status: 400,
      body: { error: "config.json: num_attention_heads must be a whole number above 0, not 0" },
    });
    expect(readdirSync(blobFolder()).sort()).toEqual(before);
  });
});

describe("uploads in pieces", () => {
  const bytes = Buffer.alloc(100_000, "abcdefghij");
  const digest = sha256(bytes);
  const path = `/api/hutch/uploads/${digest}`;

  async function held(): Promise<string | null> {
    return (await application.send("HEAD", path)).headers.get("x-hutch-upload-offset");
  }

  function add(from: number, to: number, body: Uint8Array = bytes.subarray(from, to)) {
    return application.app.handle(
      new Request(`http://localhost${path}`, {
        method: "PATCH",
        headers: { "content-range": `bytes ${from}-${to - 1}/${bytes.length}` },
        body,
      }),
    );
  }

  test("go on where they stopped, and become a blob when they are whole", async () => {
    expect(await held()).toBe("0");
    expect((await add(0, 40_000)).status).toBe(202);
    expect(await held()).toBe("40000");
    expect((await application.send("HEAD", `/api/blobs/${digest}`)).status).toBe(404);
    expect((await add(40_000, bytes.length)).status).toBe(201);
    expect((await application.send("HEAD", `/api/blobs/${digest}`)).status).toBe(200);
    expect(await held()).toBe("100000");
    expect(readdirSync(blobFolder())).toEqual([digest.replace(":", "-")]);
  });

  /** Changes what lies on the disk, so that who reads it again finds another digest. */
  function spoil(): void {
    const file = join(blobFolder(), `${digest.replace(":", "-")}-upload-0`);
    const there = readFileSync(file);
    there[0] = 0;
    writeFileSync(file, there);
  }

  test("are hashed as they come: what is there is not read again for the rest", async () => {
    await add(0, 40_000);
    spoil();
    expect((await add(40_000, bytes.length)).status).toBe(201);
  });

  test.each([
    ["damaged", (text: string) => text.replace('"position":40000', '"position":30000')],
    ["missing", () => ""],
  ])("are read again when the state of their hash is %s", async (_, change) => {
    await add(0, 40_000);
    const note = join(blobFolder(), `${digest.replace(":", "-")}-upload-0-hash`);
    const changed = change(readFileSync(note, "utf8"));
    expect(changed).not.toBe(readFileSync(note, "utf8"));
    writeFileSync(note, changed);
    spoil();
    expect((await add(40_000, bytes.length)).status).toBe(400);
    expect(readdirSync(blobFolder())).toEqual([]);
  });

  test("with a gap are refused, and what is there stays", async () => {
    await add(0, 40_000);
    const answer = await add(50_000, 60_000);
    expect([answer.status, await answer.json()]).toEqual([
      400,
      { error: `upload of ${digest}: 40000 bytes are there, not 50000` },
    ]);
    expect(await held()).toBe("40000");
  });

  test("with other bytes than promised are refused, and begin anew", async () => {
    await add(0, 40_000);
    const answer = await add(40_000, bytes.length, Buffer.alloc(60_000));
    expect(answer.status).toBe(400);
    expect(await held()).toBe("0");
  });

  test("keep what arrived before the connection broke", async () => {
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent++ === 0) controller.enqueue(bytes.subarray(0, 30_000));
        else controller.error(new Error("the connection broke"));
      },
    });
    await application.app.handle(
      new Request(`http://localhost${path}`, {
        method: "PATCH",
        headers: { "content-range": `bytes 0-99999/100000` },
        body,
      }),
    );
    expect(await held()).toBe("30000");
    expect((await add(30_000, bytes.length)).status).toBe(201);
  });

  test("without a range are refused", async () => {
    const request = new Request(`http://localhost${path}`, { method: "PATCH", body: "x" });
    expect((await application.app.handle(request)).status).toBe(400);
  });
});

describe("requests of 2024", () => {
  const gguf = ggufBytes();

  /** A Modelfile and a GGUF beside it, on the server's machine. */
  function onDisk(modelfile: string): string {
    const folder = join(application.store.root, "../../work");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "weights.gguf"), gguf);
    writeFileSync(join(folder, "Modelfile"), modelfile);
    return join(folder, "Modelfile");
  }

  async function from(address: string | undefined, body: unknown, headers = {}) {
    const request = new Request("http://localhost/api/create", {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    const answer = await application.app.handle(request, address);
    return [answer.status, await answer.json()];
  }

  test("a Modelfile's text with a model, a blob, a system prompt and parameters", async () => {
    await application.create("base");
    const modelfile = "FROM base\nSYSTEM Be kind.\nPARAMETER temperature 0.5\n";
    await application.post("/api/create", { name: "old", modelfile, stream: false });
    const shown = await application.post("/api/show", { name: "old" });
    expect(shown.body).toMatchObject({
      system: "Be kind.",
      details: { parent_model: "base:latest" },
    });
    const blob = `FROM @${await upload(gguf)}`;
    const made = await application.post("/api/create", {
      name: "blob",
      modelfile: blob,
      stream: false,
    });
    expect(made).toEqual({ status: 200, body: { status: "success" } });
  });

  test("a path is read for clients of the same machine", async () => {
    const path = onDisk("FROM ./weights.gguf\nSYSTEM Hi.\n");
    for (const address of [undefined, "127.0.0.1", "::1"]) {
      expect(await from(address, { name: "old", path, stream: false })).toEqual([
        200,
        { status: "success" },
      ]);
    }
    const shown = await application.post("/api/show", { name: "old" });
    expect(shown.body).toMatchObject({ system: "Hi." });
  });

  test("a path is not read for others, nor through a proxy, whether it is there or not", async () => {
    const path = onDisk("FROM ./weights.gguf\n");
    const refused = [
      400,
      { error: "path: files of the server can be named by clients on the same machine only" },
    ];
    for (const wanted of [path, "/nosuch/Modelfile"]) {
      const body = { name: "old", path: wanted, stream: false };
      expect(await from("10.0.0.7", body)).toEqual(refused);
      expect(await from("127.0.0.1", body, { "x-forwarded-for": "10.0.0.7" })).toEqual(refused);
    }
    const inText = { name: "old", modelfile: "FROM /etc/passwd", stream: false };
    expect((await from("10.0.0.7", inText))[0]).toBe(400);
  });

  test("a file taken into the store shares its bytes with the original", async () => {
    const path = onDisk("FROM ./weights.gguf\n");
    await from("127.0.0.1", { name: "old", path, stream: false });
    const blob = join(blobFolder(), sha256(gguf).replace(":", "-"));
    expect(readFileSync(blob).equals(gguf)).toBe(true);
    const original = statSync(join(path, "../weights.gguf"));
    // A reflink is another inode with the same bytes, a hard link the same inode.
    expect(statSync(blob).size).toBe(original.size);
  });

  test("what names nothing is refused", async () => {
    expect(
      await from("127.0.0.1", { name: "old", modelfile: "FROM ../nosuch", stream: false }),
    ).toEqual([400, { error: "invalid model reference: ../nosuch" }]);
    const missing = await from("127.0.0.1", { name: "old", path: "/nosuch", stream: false });
    expect(missing[0]).toBe(400);
    expect(JSON.stringify(missing[1])).toContain("error reading modelfile: ");
  });
});

test("a stub of a model on another host has a configuration and nothing else", async () => {
  const wanted = {
    model: "stub",
    from: "gpt-oss:20b",
    remote_host: "https://example.org",
    info: {
      capabilities: ["completion"],
      model_family: "gptoss",
      parameter_size: "20B",
      quantization_level: "MXFP4",
      context_length: 131072,
      embedding_length: 2880,
    },
  };
  expect(await application.lines("/api/create", wanted)).toEqual([
    { status: "writing manifest" },
    { status: "success" },
  ]);
  const place = "manifests/registry.ollama.ai/library/stub/latest";
  const manifest = readFileSync(join(application.store.root, place), "utf8");
  // Both texts as recorded.
  expect(manifest).toBe(
    `{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"sha256:53ff6eeadcbd656979ec16d5dbd94bfdd16ed58e475a767caf45f8604389de78","size":296},"layers":null}\n`,
  );
});
