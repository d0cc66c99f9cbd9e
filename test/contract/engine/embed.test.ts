/** Embeddings on libllama: encoders, decoders, every pooling, texts of any length. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { facts, Native, StepBuffers } from "../../../ffi/native.ts";
import type { Engine, LoadedModel, LoadSpec } from "../../../src/engine/engine.ts";
import { EmbedQueue } from "../../../src/engine/runner/embed.ts";
import { EngineError, InvalidRequestError } from "../../../src/errors.ts";
import { tinyDecoder, tinyEncoder } from "../../support/tiny-models.ts";
import { loadSpec, request } from "./cases.ts";
import { haveLibrary, libraryFolderOfTests, nativeEngine, openModel } from "./native.ts";

const never = new AbortController().signal;
const options = { normalize: true, limit: 512, truncate: true };

let folder = "";
let engine: Engine;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hutch-test-"));
  engine = nativeEngine();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

let files = 0;

function load(bytes: Uint8Array, more: Partial<LoadSpec> = {}): Promise<LoadedModel> {
  const path = join(folder, `${files++}.gguf`);
  writeFileSync(path, bytes);
  return engine.load({ ...loadSpec(path), contextLength: 512, slots: 1, ...more }, never);
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - (b[i] ?? 9))));
}

/** Texts of one to some hundred letters. */
const texts = Array.from({ length: 150 }, (_, i) =>
  Array.from({ length: 1 + (i % 40) }, (_, at) =>
    String.fromCharCode(97 + ((i * 7 + at * at) % 26)),
  ).join(" "),
);

const kinds: [name: string, make: () => Uint8Array][] = [
  ["an encoder, mean", () => tinyEncoder({ pooling: 1 })],
  ["an encoder, first token", () => tinyEncoder({ pooling: 2 })],
  ["an encoder without pooling", () => tinyEncoder({ pooling: 0 })],
  ["a decoder, mean", () => tinyDecoder("llama", { pooling: 1 })],
  ["a decoder, first token", () => tinyDecoder("llama", { pooling: 2 })],
  ["a decoder, last token", () => tinyDecoder("llama", { pooling: 3 })],
  ["a decoder without pooling", () => tinyDecoder("llama")],
];

for (const [name, make] of kinds) {
  describe.skipIf(!haveLibrary)(`vectors of ${name}`, () => {
    let model: LoadedModel;
    beforeAll(async () => {
      model = await load(make());
    });
    afterAll(() => model?.[Symbol.asyncDispose]());

    test("have length 1 and do not depend on what else is asked for", async () => {
      const { vectors } = await model.embed(texts, options, never);
      const [first, ...others] = await Promise.all(
        [texts.toReversed(), ...texts.slice(0, 12).map((text) => [text])].map((list) =>
          model.embed(list, options, never),
        ),
      );
      const reversed = first?.vectors.toReversed() ?? [];
      for (const [i, vector] of vectors.entries()) {
        expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
        expect(distance(vector, reversed[i] ?? [])).toBeLessThan(5e-4);
      }
      for (const [i, { vectors: alone }] of others.entries()) {
        expect(distance(alone[0] ?? [], vectors[i] ?? [])).toBeLessThan(5e-4);
      }
      // What a decoder makes of the first token, which is always the same, knows nothing of the rest.
      const blind = name === "a decoder, first token";
      const apart = distance(vectors[0] ?? [], vectors[20] ?? []);
      if (blind) expect(apart).toBeLessThan(5e-4);
      else expect(apart).toBeGreaterThan(1e-3);
    });

    test("take texts up to the context's length", async () => {
      const long = "a b c d e f g h ".repeat(200);
      const { vectors, promptTokens } = await model.embed([long, "a"], options, never);
      expect(promptTokens).toBeGreaterThan(505);
      expect(Math.hypot(...(vectors[0] ?? []))).toBeCloseTo(1, 5);
    });
  });
}

describe.skipIf(!haveLibrary)("embeddings", () => {
  test("of a long text do not depend on the pieces in which it is read", async () => {
    const text = "the quick brown fox jumps over the lazy dog ".repeat(20);
    const wide = await load(tinyDecoder("llama", { pooling: 3 }), { batchSize: 512 });
    const narrow = await load(tinyDecoder("llama", { pooling: 3 }), { batchSize: 32 });
    const [a] = (await wide.embed([text], options, never)).vectors;
    const [b] = (await narrow.embed([text, "more"], options, never)).vectors;
    // Random weights make more of rounding than real ones; a wrong position would be far off.
    expect(distance(a ?? [], b ?? [])).toBeLessThan(5e-3);
    await wide[Symbol.asyncDispose]();
    await narrow[Symbol.asyncDispose]();
  });

  test("of a long text leave it all of its cells", async () => {
    // 512 tokens in pieces of 30: beside the last two there is room in the step, but not in the context.
    const model = await load(tinyDecoder("llama", { pooling: 3 }), { batchSize: 30 });
    const text = "the quick brown fox jumps over the lazy dog ".repeat(20);
    const [alone] = (await model.embed([text], options, never)).vectors;
    const { vectors } = await model.embed([text, "more"], options, never);
    expect(vectors).toHaveLength(2);
    expect(distance(alone ?? [], vectors[0] ?? [])).toBeLessThan(5e-3);
    await model[Symbol.asyncDispose]();
  });

  test("are the same to the last bits when that is asked for", async () => {
    const model = await load(tinyEncoder(), { deterministic: true });
    const { vectors } = await model.embed(texts.slice(0, 30), options, never);
    for (const [i, text] of texts.slice(0, 30).entries()) {
      const { vectors: alone } = await model.embed([text], options, never);
      expect(distance(alone[0] ?? [], vectors[i] ?? [])).toBeLessThan(1e-6);
    }
    await model[Symbol.asyncDispose]();
  });

  test("of a reranker are its scores, as they are", async () => {
    const model = await load(tinyEncoder({ pooling: 4 }));
    expect(model.info.embeddingLength).toBe(1);
    const { vectors } = await model.embed(["a b", "c d"], options, never);
    const scores = vectors.map(([score]) => score ?? 0);
    expect(new Set(scores).size).toBe(2);
    await model[Symbol.asyncDispose]();
  });

  test("of short requests are not kept waiting by a long one", async () => {
    const model = await load(tinyEncoder());
    const many = Array.from({ length: 8 }, () => texts).flat();
    let done = false;
    const long = model.embed(many, options, never).then(() => {
      done = true;
    });
    await model.embed(["a short one"], options, never);
    expect(done).toBe(false);
    await long;
    await model[Symbol.asyncDispose]();
  });

  test("of who comes while a text is read are made before the next text of that request", () => {
    const path = join(folder, "turns.gguf");
    writeFileSync(path, tinyEncoder({ pooling: 1 }));
    const model = openModel(new Native(libraryFolderOfTests), path, 1);
    try {
      const queue = new EmbedQueue(model, new StepBuffers(model.fact(facts.batch)), {
        firstSpeed: 1,
        deterministic: true, // one text a turn
        ready: () => {},
      });
      const done = () => queue.turn([0], false, () => {}).map(({ id }) => id);
      queue.add({ id: 1, texts: ["a", "b", "c"], options });
      expect(done()).toEqual([]);
      queue.add({ id: 2, texts: ["d"], options });
      queue.add({ id: 3, texts: ["e"], options });
      expect([done(), done(), done(), done()]).toEqual([[2], [3], [], [1]]);
    } finally {
      model.free();
    }
  });

  test("are all that an embedding model makes", async () => {
    const model = await load(tinyDecoder("llama", { pooling: 1 }));
    const events = model.generate(request("hello"), never)[Symbol.asyncIterator]();
    expect(events.next()).rejects.toBeInstanceOf(EngineError);
    await model[Symbol.asyncDispose]();
  });

  test("of a text without any tokens are refused", async () => {
    const model = await load(tinyDecoder("llama", { bos: false }));
    const refused = model.embed([""], options, never);
    expect(refused).rejects.toBeInstanceOf(InvalidRequestError);
    await refused.catch(() => undefined);
    await model[Symbol.asyncDispose]();
  });
});
