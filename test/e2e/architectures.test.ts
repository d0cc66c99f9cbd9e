/**
 * A tiny model of every architecture that can be converted, made by the executable and run by
 * llama.cpp: names, shapes and keys are what it wants. Weights are noise, so only that there is an
 * answer counts.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { supportedClasses } from "../../src/model/convert/architectures/table.ts";
import { haveExecutable, startServer, type TestServer } from "../support/executable.ts";
import { decoders } from "../support/hugging-face/decoders.ts";
import { encoders } from "../support/hugging-face/encoders.ts";
import { mixtures } from "../support/hugging-face/mixtures.ts";
import { filesOf, width } from "../support/hugging-face/shapes.ts";

const kinds = { ...decoders, ...mixtures, ...encoders };

/** The same as another one here. */
const alike: Record<string, string> = {
  BertForMaskedLM: "BertModel",
  Qwen2Model: "Qwen2ForCausalLM",
  Qwen3Model: "Qwen3ForCausalLM",
  Olmo3ForCausalLM: "Olmo2ForCausalLM",
};

describe.skipIf(!haveExecutable)("every architecture", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  for (const [name, kind] of Object.entries(kinds)) {
    test(`${name} is converted and runs`, async () => {
      const files: Record<string, string> = {};
      for (const [file, bytes] of Object.entries(filesOf(name.split(" ")[0] ?? "", kind))) {
        const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
        await fetch(`${server.url}/api/blobs/${digest}`, { method: "POST", body: bytes });
        files[file] = digest;
      }
      const made = await server.post("/api/create", { model: "tiny", files, stream: false });
      expect(await made.json()).toEqual({ status: "success" });
      const answer = kind.embeds
        ? await server.post("/api/embed", { model: "tiny", input: "abc" })
        : await server.post("/api/generate", {
            model: "tiny",
            prompt: "abc",
            raw: true,
            stream: false,
            options: { num_predict: 3, temperature: 0 },
          });
      const body = (await answer.json()) as { error?: string; embeddings?: number[][] };
      expect([answer.status, body.error]).toEqual([200, undefined]);
      if (kind.embeds) expect(body.embeddings?.[0]).toHaveLength(width);
    });
  }

  test("none is forgotten here", () => {
    const tried = new Set([...Object.keys(kinds), ...Object.keys(alike)]);
    expect(supportedClasses.filter((name) => !tried.has(name))).toEqual([]);
  });
});
