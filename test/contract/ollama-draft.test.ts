/** Drafting as clients see it: `DRAFT`, the options `draft` and `draft_num_predict`, what is told of it. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Application, openApplication } from "../support/application.ts";
import { ggufBytes } from "../support/gguf.ts";

let application: Application;
beforeEach(() => {
  application = openApplication();
  application.engine.drafts = ["ngram", "model"];
});
afterEach(() => application[Symbol.asyncDispose]());

async function upload(bytes: Uint8Array): Promise<string> {
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
  const url = `http://localhost/api/blobs/${digest}`;
  await application.app.handle(new Request(url, { method: "POST", body: bytes }));
  return digest;
}

const draftBytes = ggufBytes({ metadata: { "general.name": "small" } });

/** Makes the model `pair`: the model `m` with a draft model. */
async function createPair(more: Record<string, unknown> = {}): Promise<string> {
  const digest = await upload(draftBytes);
  const wanted = { model: "pair", from: "m", draft_files: { "small.gguf": digest }, ...more };
  const { status } = await application.post("/api/create", { ...wanted, stream: false });
  expect(status).toBe(200);
  return digest.replace(":", "-");
}

async function shown(model = "pair"): Promise<string> {
  const { body } = await application.post("/api/show", { model });
  return (body as { modelfile: string }).modelfile;
}

async function generate(model: string, options: Record<string, unknown> = {}, headers = {}) {
  const body = { model, prompt: "hello", options, stream: false };
  const answer = await application.send("POST", "/api/generate", body, headers);
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

const lastDraft = () => application.engine.requests.at(-1)?.draft;

describe("a draft model", () => {
  beforeEach(() => application.create("m"));

  test("becomes a layer of its own kind, which show names", async () => {
    const blob = await createPair();
    const lines = (await shown()).split("\n");
    const draft = lines.findIndex((line) => line.startsWith("DRAFT "));
    expect(lines[draft]).toEndWith(`/blobs/${blob}`);
    expect(lines[draft - 1]).toStartWith("FROM /");
    expect(lines[draft + 1]).toStartWith("TEMPLATE");
  });

  test("stays with models made of this one, until another takes its place", async () => {
    const blob = await createPair();
    await application.post("/api/create", {
      model: "heir",
      from: "pair",
      system: "x",
      stream: false,
    });
    expect(await shown("heir")).toContain(blob);
    const other = await upload(ggufBytes({ metadata: { "general.name": "other" } }));
    const draft_files = { "other.gguf": other };
    const wanted = { model: "heir", from: "heir", draft_files, stream: false };
    await application.post("/api/create", wanted);
    const modelfile = await shown("heir");
    expect(modelfile.match(/^DRAFT /gm)).toHaveLength(1);
    expect(modelfile).toContain(other.replace(":", "-"));
  });

  test("comes by a Modelfile in the form of 2024 too", async () => {
    const path = join(application.home, "small.gguf");
    writeFileSync(path, draftBytes);
    const wanted = { model: "pair", modelfile: `FROM m\nDRAFT ${path}\n`, stream: false };
    expect((await application.post("/api/create", wanted)).status).toBe(200);
    expect(await shown()).toMatch(/^DRAFT \/.*\/blobs\/sha256-/m);
  });

  test("is refused in the words of the reference", async () => {
    const digest = await upload(draftBytes);
    const refused = async (fields: Record<string, unknown>) => {
      const wanted = { model: "pair", from: "m", stream: false, ...fields };
      const { status, body } = await application.post("/api/create", wanted);
      return [status, (body as { error: string }).error];
    };
    expect(await refused({ draft_files: { "../a.gguf": digest } })).toEqual([
      400,
      "file path must be relative",
    ]);
    expect(await refused({ draft_files: { "a.gguf": "" } })).toEqual([
      400,
      "invalid digest format",
    ]);
    expect(await refused({ draft_quantize: "q8_0" })).toEqual([
      400,
      "--draft-quantize requires a DRAFT model",
    ]);
    const draft_files = { "a.gguf": digest };
    expect(await refused({ draft_files, remote_host: "example.com" })).toEqual([
      400,
      "DRAFT cannot be used with remote models",
    ]);
    const quantized = await upload(ggufBytes({ metadata: { "general.file_type": 7 } }));
    expect(await refused({ draft_files: { "a.gguf": quantized }, draft_quantize: "q4_0" })).toEqual(
      [500, "draft quantization requires an unquantized draft model, got Q8_0"],
    );
    const adapter = await upload(ggufBytes({ metadata: { "general.type": "adapter" } }));
    expect(await refused({ draft_files: { "a.gguf": adapter } })).toEqual([
      400,
      "no base model was found",
    ]);
  });

  test("is loaded and used without asking, as far as draft_num_predict says", async () => {
    const blob = await createPair();
    await generate("pair");
    expect(application.engine.loads.at(-1)?.draft).toEndWith(blob);
    expect(lastDraft()).toEqual({ kind: "model", most: 4 });
    await generate("pair", { draft_num_predict: 9 });
    expect(lastDraft()).toEqual({ kind: "model", most: 9 });
    await generate("pair", { draft_num_predict: 0 });
    expect(lastDraft()).toBeUndefined();
    await generate("pair", { draft: "none" });
    expect(lastDraft()).toBeUndefined();
    await generate("pair", { draft: "ngram" });
    expect(lastDraft()).toEqual({ kind: "ngram", most: 31 });
    expect(application.engine.loads).toHaveLength(1);
  });

  test("is not loaded for requests that do not want it, but for the first that does", async () => {
    await createPair({ parameters: { draft: "none" } });
    await generate("pair");
    expect(application.engine.loads.at(-1)).not.toHaveProperty("draft");
    await generate("pair", { draft: "model" });
    expect(application.engine.loads).toHaveLength(2);
    expect(lastDraft()).toEqual({ kind: "model", most: 4 });
  });
});

describe("the option draft", () => {
  beforeEach(() => application.create("m"));

  test("is off by default, and on by request or by the model's parameters", async () => {
    await generate("m");
    expect(lastDraft()).toBeUndefined();
    await generate("m", { draft: "ngram", draft_num_predict: 5 });
    expect(lastDraft()).toEqual({ kind: "ngram", most: 5 });
    const modelfile = "FROM m\nPARAMETER draft ngram\n";
    await application.post("/api/create", { model: "copying", modelfile, stream: false });
    expect(await shown("copying")).toContain("\nPARAMETER draft ngram\n");
    await generate("copying");
    expect(lastDraft()).toEqual({ kind: "ngram", most: 31 });
  });

  test("says what it takes", async () => {
    const error = async (draft: unknown) => (await generate("m", { draft })).body.error;
    expect(await error("best")).toBe('option "draft" must be one of "none", "ngram", "model"');
    expect(await error(true)).toBe('option "draft" must be of type string');
    expect(await error("model")).toBe(
      'option "draft": "model" needs a model that was created with DRAFT',
    );
    const modelfile = "FROM m\nPARAMETER draft best\n";
    expect(await application.post("/api/create", { model: "x", modelfile })).toMatchObject({
      status: 400,
      body: { error: "invalid draft value [best]" },
    });
  });

  test("has no effect where a model cannot draft", async () => {
    application.engine.drafts = undefined;
    expect((await generate("m", { draft: "ngram" })).body.response).toBe("Hello there");
    expect(lastDraft()).toBeUndefined();
  });

  test("is told of in the final object on request, and in the metrics", async () => {
    const plain = (await generate("m", { draft: "ngram" })).body;
    expect(plain).not.toHaveProperty("draft_count");
    const headers = { "x-hutch-extras": "1" };
    expect((await generate("m", { draft: "ngram" }, headers)).body).toMatchObject({
      draft_count: 8,
      draft_accepted_count: 5,
    });
    expect((await generate("m", {}, headers)).body).not.toHaveProperty("draft_count");
    const page = await (await application.send("GET", "/metrics")).text();
    expect(page).toMatch(/^hutch_drafted_tokens_total\{model="m:latest"\} 16$/m);
    expect(page).toMatch(/^hutch_draft_accepted_tokens_total\{model="m:latest"\} 10$/m);
  });
});
