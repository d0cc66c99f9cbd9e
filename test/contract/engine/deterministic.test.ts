/**
 * With `deterministic` an answer is the same to the last bit, whatever else runs: told by log
 * probabilities, which show any other shape of a step. Needs the library and a test model.
 */
import { describe, expect, test } from "bun:test";
import type { GenerateRequest, LoadedModel } from "../../../src/engine/engine.ts";
import { testModel } from "../../support/executable.ts";
import { loadSpec, request } from "./cases.ts";
import { haveLibrary, nativeEngine } from "./native.ts";

const model = testModel("stories260K-f32.gguf");
const never = new AbortController().signal;

/** Text and log probabilities of an answer. */
async function answer(loaded: LoadedModel, wanted: GenerateRequest): Promise<unknown> {
  const pieces: unknown[] = [];
  for await (const event of loaded.generate(wanted, never)) {
    if (event.type === "text") pieces.push([event.text, event.logprobs?.map((p) => p.logprob)]);
  }
  return pieces;
}

const beginning = "Once upon a time there was a little girl who loved to play in the park. ".repeat(
  4,
);
const prompts = [
  "Tom",
  `${beginning}One day`,
  `${beginning}Her friend`,
  "The sun was hot and",
  `${beginning}One day she saw`,
  `${beginning.slice(0, 100)}But then`,
];

/** The wanted requests, of other lengths each. */
const wanted = prompts.map((text, i) => request(text, { maxTokens: 20 + 7 * i, logprobs: 0 }));

describe.skipIf(!haveLibrary || model === undefined)("deterministic answers", () => {
  test("are the same bits alone, at once with others, and after any others", async () => {
    await using engine = nativeEngine();
    const spec = { ...loadSpec(model ?? ""), contextLength: 512, slots: 6, deterministic: true };
    const alone: unknown[] = [];
    for (const each of wanted) {
      await using fresh = await engine.load(spec, never);
      alone.push(await answer(fresh, each));
    }
    await using loaded = await engine.load(spec, never);
    for (let round = 0; round < 4; round++) {
      const order = wanted.map((_, i) => (i * 5 + round) % wanted.length);
      const again = await Promise.all(order.map((i) => answer(loaded, wanted[i] ?? request(""))));
      expect(again).toEqual(order.map((i) => alone[i]));
    }
  });

  test("of a conversation that goes on are those of its whole text", async () => {
    await using engine = nativeEngine();
    const spec = { ...loadSpec(model ?? ""), contextLength: 512, deterministic: true };
    await using loaded = await engine.load(spec, never);
    let text = beginning;
    for (let turn = 0; turn < 4; turn++) {
      const next = request(text, { maxTokens: 30, logprobs: 0 });
      const here = await answer(loaded, next);
      await using fresh = await engine.load(spec, never);
      expect(here).toEqual(await answer(fresh, next));
      text += `${(here as [string][]).map(([piece]) => piece).join("")} Then `;
    }
  });

  test("go on when their context is full, the same every time", async () => {
    await using engine = nativeEngine();
    const spec = { ...loadSpec(model ?? ""), contextLength: 256, slots: 3, deterministic: true };
    await using loaded = await engine.load(spec, never);
    const long = request("Tom and Lily", { maxTokens: 400, logprobs: 0 });
    const alone = await answer(loaded, long);
    const [again] = await Promise.all([
      answer(loaded, long),
      answer(loaded, request("The sun", { maxTokens: 300 })),
      answer(loaded, request("A cat and a dog", { maxTokens: 100 })),
    ]);
    expect(again).toEqual(alone);
  });
});
