/** A draft model by a Modelfile, through the command line, the store and the server of the executable. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  cleanEnvironment,
  createModel,
  executable,
  haveExecutable,
  lines,
  startServer,
  type TestServer,
  temporaryFolder,
} from "../support/executable.ts";
import { tinyDecoder } from "../support/tiny-models.ts";

const prompt = "the quick brown fox jumps over the lazy dog ".repeat(3);

describe.skipIf(!haveExecutable)("a draft model", () => {
  let server: TestServer;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;

  async function create(name: string, modelfile: string): Promise<{ code: number; err: string }> {
    const path = join(folder.path, `${name}.Modelfile`);
    writeFileSync(path, modelfile);
    const child = Bun.spawn([executable, "create", name, "-f", path], {
      env: cleanEnvironment(server.home, { HUTCH_HOST: server.url }),
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const err = await new Response(child.stderr).text();
    return { code: await child.exited, err };
  }

  async function generate(model: string, options: Record<string, unknown> = {}) {
    const all = { temperature: 0, num_predict: 150, ...options };
    const body = { model, prompt, raw: true, options: all };
    const init = { headers: { "x-hutch-extras": "1" } };
    let text = "";
    let last: Record<string, unknown> = {};
    for await (const line of lines(await server.post("/api/generate", body, init))) {
      expect(line).not.toHaveProperty("error");
      text += line.response;
      last = line;
    }
    return { text, last };
  }

  beforeAll(async () => {
    server = await startServer();
    folder = await temporaryFolder();
    const files = {
      model: tinyDecoder("llama", { seed: 3 }),
      small: tinyDecoder("llama", { seed: 3, noise: 0.1 }),
      strange: tinyDecoder("llama", { bos: false }),
    };
    for (const [name, bytes] of Object.entries(files)) {
      writeFileSync(join(folder.path, `${name}.gguf`), bytes);
    }
    await createModel(server, "alone", join(folder.path, "model.gguf"));
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  test("of a Modelfile is created, shown and guesses; the text is that without it", async () => {
    const made = await create("pair", "FROM ./model.gguf\nDRAFT ./small.gguf\n");
    expect(made.code).toBe(0);
    const shown = (await (await server.post("/api/show", { model: "pair" })).json()) as {
      modelfile: string;
    };
    expect(shown.modelfile).toMatch(/^FROM \/.*\nDRAFT \/.*sha256-[0-9a-f]{64}\nTEMPLATE/m);
    const plain = await generate("alone");
    expect(plain.last).not.toHaveProperty("draft_count");
    const pair = await generate("pair");
    expect(pair.text).toBe(plain.text);
    expect(pair.last.draft_accepted_count).toBeGreaterThan(0);
    expect((await generate("pair", { draft: "ngram" })).text).toBe(plain.text);
    const metrics = await (await server.request("GET", "/metrics")).text();
    expect(metrics).toMatch(/hutch_draft_accepted_tokens_total\{model="pair:latest"\} [1-9]/);
  });

  test("that does not exist, or is the model itself, is an error of the command", async () => {
    const missing = await create("missing", "FROM ./model.gguf\nDRAFT ./nowhere.gguf\n");
    expect([missing.code, missing.err]).toEqual([
      1,
      expect.stringContaining(`stat ${join(folder.path, "nowhere.gguf")}: no such file`),
    ]);
    const same = await create("same", "FROM ./model.gguf\nDRAFT ./model.gguf\n");
    expect(same.code).toBe(1);
    expect(same.err).toContain("DRAFT must not reference the same local path as FROM");
  });

  test("of another vocabulary costs a line in the log, and nothing else", async () => {
    expect((await create("odd", "FROM ./model.gguf\nDRAFT ./strange.gguf\n")).code).toBe(0);
    const odd = await generate("odd");
    expect(odd.text).toBe((await generate("alone")).text);
    expect(odd.last).not.toHaveProperty("draft_count");
    expect(server.log()).toContain("the draft model is not used");
  });
});
