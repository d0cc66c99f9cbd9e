/** Options of sampling and log probabilities on libllama, with a model whose tokens are all likely. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  Engine,
  GenerateEvent,
  GenerateRequest,
  LoadedModel,
  Sampling,
} from "../../../src/engine/engine.ts";
import { tinyDecoder } from "../../support/tiny-models.ts";
import { loadSpec, request } from "./cases.ts";
import { haveLibrary, nativeEngine } from "./native.ts";

const never = new AbortController().signal;
const base = request("").sampling;

let folder = "";
let engine: Engine;
let model: LoadedModel;

async function load(name: string, suppressed: readonly number[] = []): Promise<LoadedModel> {
  const path = join(folder, name);
  writeFileSync(path, tinyDecoder("llama", { suppressed }));
  return engine.load(loadSpec(path), never);
}

type TokenLogprobs = NonNullable<Extract<GenerateEvent, { type: "text" }>["logprobs"]>;

/** The tokens of an answer with their log probabilities, and how it ended. */
async function run(sampling: Partial<Sampling>, more: Partial<GenerateRequest> = {}, from = model) {
  const tokens: TokenLogprobs[number][] = [];
  let text = "";
  const wanted = request("hello there", {
    maxTokens: 24,
    logprobs: 3,
    ...more,
    sampling: { ...base, ...sampling },
  });
  for await (const event of from.generate(wanted, never)) {
    if (event.type === "done") return { tokens, text, done: event };
    text += event.text;
    tokens.push(...(event.logprobs ?? []));
  }
  throw new Error("the stream ended without its final event");
}

const spelled = ({ tokens }: Awaited<ReturnType<typeof run>>) =>
  tokens.map(({ bytes }) => bytes.join(" ")).join(",");

beforeAll(async () => {
  if (!haveLibrary) return;
  folder = mkdtempSync(join(tmpdir(), "hutch-test-"));
  engine = nativeEngine();
  model = await load("model.gguf");
});
afterAll(async () => {
  if (!haveLibrary) return;
  await engine[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(!haveLibrary)("options of sampling", () => {
  const warm = { temperature: 1.2, topK: 0, topP: 1 };

  test("a seed gives the same answer, another seed another one", async () => {
    const first = spelled(await run({ ...warm, seed: 1 }));
    expect(spelled(await run({ ...warm, seed: 1 }))).toBe(first);
    expect(spelled(await run({ ...warm, seed: 2 }))).not.toBe(first);
    expect(spelled(await run({ ...warm, seed: 4_294_967_290 }))).not.toBe(first);
  });

  const greedy: [what: string, sampling: Partial<Sampling>][] = [
    ["temperature below zero", { temperature: -1 }],
    ["one token to choose from", { temperature: 2, topK: 1 }],
    ["no probability to choose from", { temperature: 2, topP: 0 }],
    ["a minimum of all probability", { temperature: 2, minP: 1, topK: 0, topP: 1 }],
  ];
  for (const [what, sampling] of greedy) {
    test(`${what}: the likeliest token, always`, async () => {
      const plain = spelled(await run({ temperature: 0 }));
      expect(spelled(await run({ seed: 3, ...sampling }))).toBe(plain);
    });
  }

  const changes: [what: string, sampling: Partial<Sampling>][] = [
    ["top_k", { topK: 2 }],
    ["top_p", { topP: 0.05 }],
    ["min_p", { minP: 0.9 }],
    ["typical_p", { typicalP: 0.05 }],
    ["mirostat 1", { mirostat: 1 }],
    ["mirostat 2", { mirostat: 2 }],
    ["temperature", { temperature: 0.05 }],
  ];
  for (const [what, sampling] of changes) {
    test(`${what} changes what is sampled`, async () => {
      const plain = spelled(await run({ ...warm, seed: 5 }));
      expect(spelled(await run({ ...warm, seed: 5, ...sampling }))).not.toBe(plain);
    });
  }

  const penalties: [what: string, sampling: Partial<Sampling>][] = [
    ["repeat_penalty", { repeatPenalty: 1e6 }],
    ["presence_penalty", { presencePenalty: 1e4 }],
    ["frequency_penalty", { frequencyPenalty: 1e4 }],
  ];
  for (const [what, sampling] of penalties) {
    test(`${what}: no token comes twice, over the whole context or a window`, async () => {
      const all = (await run({ ...sampling, repeatLastN: -1 })).tokens;
      // A repeat penalty makes small numbers smaller and cannot reach zero ones: others show no repeat.
      const distinct = new Set(all.map(({ bytes }) => bytes.join(" "))).size;
      expect(distinct).toBeGreaterThan(all.length - 3);
      expect(spelled(await run({ ...sampling, repeatLastN: 0 }))).toBe(spelled(await run({})));
    });
  }

  test("tokens that the vocabulary suppresses never come", async () => {
    const [first] = (await run({}, { maxTokens: 1 })).tokens;
    const [id] = await model.tokenize(first?.token ?? "", {
      addSpecial: false,
      parseSpecial: true,
    });
    const bytes = first?.bytes[0] ?? 0;
    // Bytes are the tokens from 3 on; letters are tokens of their own.
    const suppressed = [bytes + 3, ...(id === undefined ? [] : [id])];
    const other = await load("suppressed.gguf", suppressed);
    const { tokens } = await run({}, { maxTokens: 12 }, other);
    expect(tokens[0]?.bytes).not.toEqual(first?.bytes ?? []);
    await other[Symbol.asyncDispose]();
  });
});

describe.skipIf(!haveLibrary)("log probabilities", () => {
  test("are those of the model, before sampling: the likeliest first, none above one", async () => {
    const { tokens, done } = await run(
      { temperature: 1.5, seed: 9, topK: 0, topP: 1 },
      { logprobs: 20 },
    );
    expect(tokens.length).toBeGreaterThanOrEqual(done.evalTokens - 1);
    for (const { logprob, top } of tokens) {
      expect(top).toHaveLength(20);
      const values = top.map((one) => one.logprob);
      expect(values).toEqual(values.toSorted((a, b) => b - a));
      expect(logprob).toBeLessThanOrEqual((values[0] ?? 0) + 1e-6);
      expect(values.reduce((sum, value) => sum + Math.exp(value), 0)).toBeLessThan(1.000001);
    }
  });

  test("of a greedy answer are those of the likeliest tokens", async () => {
    for (const { logprob, bytes, top } of (await run({})).tokens) {
      expect(top[0]).toMatchObject({ logprob, bytes });
    }
  });

  test("come without likeliest ones when none are asked for, or not at all", async () => {
    const { tokens } = await run({}, { logprobs: 0, maxTokens: 4 });
    expect(tokens.map(({ top }) => top)).toEqual([[], [], [], []]);
    const { logprobs: _, ...silent } = request("hello", { maxTokens: 4 });
    for await (const event of model.generate(silent, never)) {
      if (event.type === "text") expect(event.logprobs).toBeUndefined();
    }
  });
});
