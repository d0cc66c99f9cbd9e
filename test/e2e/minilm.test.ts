/**
 * The real all-MiniLM-L6-v2: its vectors are those that Ollama's documentation shows. Needs the model's
 * folder (config.json, model.safetensors, tokenizer.json, …) in HUTCH_TEST_MINILM; skipped without.
 */
import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { convertModel } from "../../src/model/convert/convert.ts";
import { createModel, haveExecutable, startServer } from "../support/executable.ts";

const folder = process.env.HUTCH_TEST_MINILM;

/** Ollama's docs/api.md, "Generate Embeddings": the first numbers of each vector. */
const documented = {
  "Why is the sky blue?": [
    0.010071029, -0.0017594862, 0.05007221, 0.04692972, 0.054916814, 0.008599704, 0.105441414,
    -0.025878139, 0.12958129, 0.031952348,
  ],
  "Why is the grass green?": [
    -0.0098027075, 0.06042469, 0.025257962, -0.006364387, 0.07272725, 0.017194884, 0.09032035,
    -0.051705178, 0.09951512, 0.09072481,
  ],
};

/** A sink that writes a whole file. */
function convert(path: string): void {
  const names = readdirSync(folder ?? "", { recursive: true, encoding: "utf8" });
  const paths = Object.fromEntries(names.map((name) => [name, join(folder ?? "", name)]));
  const file = openSync(path, "w");
  convertModel(paths, {
    write(bytes) {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    },
  });
  closeSync(file);
}

describe.skipIf(!haveExecutable || folder === undefined)("all-MiniLM-L6-v2", () => {
  test("gives the vectors that are documented, within 1e-4", async () => {
    await using server = await startServer();
    const path = join(server.home, "minilm.gguf");
    convert(path);
    await createModel(server, "all-minilm", path);
    const input = Object.keys(documented);
    const answer = await server.post("/api/embed", { model: "all-minilm", input });
    const { embeddings } = (await answer.json()) as { embeddings: number[][] };
    for (const [i, wanted] of Object.values(documented).entries()) {
      const apart = wanted.map((value, at) => Math.abs(value - (embeddings[i]?.[at] ?? 9)));
      expect(Math.max(...apart)).toBeLessThan(1e-4);
      expect(Math.hypot(...(embeddings[i] ?? []))).toBeCloseTo(1, 5);
    }
  }, 60_000);
});
