/**
 * Drafting changes how fast an answer comes, and nothing else: with and without it the same text, end,
 * probabilities and cached tokens. With models made for it and the small one of the test data.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  DraftWish,
  Engine,
  GenerateEvent,
  GenerateRequest,
  LoadedModel,
} from "../../../src/engine/engine.ts";
import { testModel } from "../../support/executable.ts";
import { png } from "../../support/pictures.ts";
import { tinyDecoder, tinyMamba, tinyProjector } from "../../support/tiny-models.ts";
import { loadSpec, request } from "./cases.ts";
import { haveLibrary, nativeEngine } from "./native.ts";

const never = new AbortController().signal;
const ngram: DraftWish = { kind: "ngram", most: 31 };
const byModel: DraftWish = { kind: "model", most: 5 };

type Done = Extract<GenerateEvent, { type: "done" }>;

interface Answer {
  readonly text: string;
  readonly logprobs: readonly number[];
  readonly done: Done;
}

async function answer(
  model: LoadedModel,
  text: string,
  more: Partial<GenerateRequest> = {},
): Promise<Answer> {
  let whole = "";
  const logprobs: number[] = [];
  for await (const event of model.generate(request(text, more), never)) {
    if (event.type === "done") return { text: whole, logprobs, done: event };
    whole += event.text;
    logprobs.push(...(event.logprobs ?? []).map(({ logprob }) => logprob));
  }
  throw new Error("the stream ended without its final event");
}

/** What must be the same with and without drafts. */
function essence({ text, done }: Answer) {
  const { reason, promptTokens, evalTokens, shiftedTokens } = done;
  return { text, reason, promptTokens, evalTokens, shiftedTokens };
}

let folder = "";
let engine: Engine;

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hutch-draft-"));
  engine = nativeEngine();
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const line = "the quick brown fox jumps over the lazy dog and runs home to sleep ";
const prompts = ["tom", "once upon a time there was a fox", line.repeat(3), `${line}${line}a cat`];

/** Cases in which drafts must not show, for a model that drafts in a way. */
function sameWithDrafts(load: () => LoadedModel, draft: DraftWish): void {
  const both = async (text: string, more: Partial<GenerateRequest> = {}) => {
    const plain = await answer(load(), text, more);
    const drafted = await answer(load(), text, { ...more, draft });
    expect(plain.done.drafted).toBeUndefined();
    expect(essence(drafted)).toEqual(essence(plain));
    return { plain, drafted };
  };

  test("writes the same text, whatever its length", async () => {
    let accepted = 0;
    for (const prompt of prompts) {
      for (const maxTokens of [1, 2, 9, 100]) {
        const { drafted } = await both(prompt, { maxTokens });
        accepted += drafted.done.drafted?.accepted ?? 0;
        const guesses = drafted.done.drafted ?? { tokens: -1, accepted: 0 };
        expect(guesses.tokens).toBeGreaterThanOrEqual(guesses.accepted);
      }
    }
    expect(accepted).toBeGreaterThan(0);
  });

  test("ends at the same stop text", async () => {
    const { text } = await answer(load(), prompts[2] ?? "", { maxTokens: 100 });
    for (const at of [5, 40, 70]) {
      const stop = text.slice(at, at + 4);
      await both(prompts[2] ?? "", { maxTokens: 100, stop: [stop] });
    }
  });

  test("writes the same text by chance, with penalties and with mirostat", async () => {
    const { sampling } = request("");
    for (const more of [
      { temperature: 0.8 },
      { temperature: 0.3, repeatPenalty: 1.3, presencePenalty: 0.2 },
      { temperature: 0, repeatPenalty: 1.1, frequencyPenalty: 0.1 },
      { temperature: 0.7, mirostat: 2 as const },
    ]) {
      for (const prompt of prompts.slice(1, 3)) {
        await both(prompt, { maxTokens: 50, sampling: { ...sampling, ...more } });
      }
    }
  });

  test("gives the same probabilities", async () => {
    const { plain, drafted } = await both(prompts[2] ?? "", { maxTokens: 60, logprobs: 3 });
    expect(drafted.logprobs).toHaveLength(plain.logprobs.length);
    for (const [i, value] of drafted.logprobs.entries()) {
      expect(value).toBeCloseTo(plain.logprobs[i] ?? 1, 2);
    }
  });

  test("keeps to a constraint, with what it forces", async () => {
    const properties = { name: { enum: ["the quick brown fox"] }, count: { type: "integer" } };
    const schema = { type: "object", properties, required: ["name", "count"] };
    const constraint = { kind: "schema", text: JSON.stringify(schema) } as const;
    const { drafted } = await both(prompts[2] ?? "", { maxTokens: 90, constraint });
    expect(drafted.text).toMatch(/"name"\s*:\s*"the quick brown fox"/);
  });

  test("shifts a full context at the same token, and ends where it may not", async () => {
    const { drafted } = await both(prompts[2] ?? "", { maxTokens: 300 });
    if (drafted.done.reason === "length") expect(drafted.done.shiftedTokens).toBeGreaterThan(0);
    await both(prompts[2] ?? "", { maxTokens: 300, shift: false });
  });

  test("leaves nothing wrong in the cache", async () => {
    const first = await answer(load(), prompts[3] ?? "", { maxTokens: 60, draft });
    const longer = `${prompts[3]}${first.text}`;
    const cached = await answer(load(), longer, { maxTokens: 40, draft });
    expect(cached.done.cachedTokens).toBeGreaterThan(32);
    await answer(load(), "z z z z", { maxTokens: 1 });
    await answer(load(), "y y y y", { maxTokens: 1 });
    const fresh = await answer(load(), longer, { maxTokens: 40 });
    expect(cached.text).toBe(fresh.text);
  });

  test("serves many at once, with the text that each gets alone", async () => {
    const alone: string[] = [];
    for (const text of prompts) alone.push((await answer(load(), text, { maxTokens: 80 })).text);
    const together = await Promise.all(
      prompts.map((text, i) =>
        answer(load(), text, { maxTokens: 80, ...(i === 1 ? {} : { draft }) }),
      ),
    );
    expect(together.map(({ text }) => text)).toEqual(alone);
  });

  test("frees the slot of a request that is given up", async () => {
    for (let round = 0; round < 4; round++) {
      const abort = new AbortController();
      const wanted = request(prompts[2] ?? "", { maxTokens: 5000, draft });
      let seen = 0;
      const reading = (async () => {
        for await (const _ of load().generate(wanted, abort.signal)) {
          if (++seen > 6 * round) abort.abort();
        }
      })();
      expect(reading).rejects.toMatchObject({ name: "AbortError" });
      await reading.catch(() => undefined);
    }
    expect((await answer(load(), "tom", { draft })).done.evalTokens).toBe(16);
  });
}

const windowed = { seed: 5, window: 48, layers: 6 };
const stories = testModel("stories260K-f32.gguf");

const pairs: [name: string, model: () => string | undefined, draft: () => string | undefined][] = [
  ["stories260K, drafting for itself", () => stories, () => stories],
  [
    "random weights, and others of the same vocabulary",
    () => file("model.gguf", tinyDecoder("llama", { seed: 4 })),
    () => file("draft.gguf", tinyDecoder("llama", { seed: 4, noise: 0.05 })),
  ],
  [
    "a sliding window",
    () => file("window.gguf", tinyDecoder("gemma3", windowed)),
    () => file("window-draft.gguf", tinyDecoder("gemma3", { ...windowed, noise: 0.05 })),
  ],
];

for (const [name, model, draftModel] of pairs) {
  describe.skipIf(!haveLibrary || (name.startsWith("stories") && stories === undefined))(
    `drafts: ${name}`,
    () => {
      let loaded: LoadedModel;
      beforeAll(async () => {
        const path = model() ?? "";
        // Steps of other shapes differ in last bits, which a cache of half precision would make larger.
        const exact = { kvCacheType: "f32", flashAttention: "off" } as const;
        const terms = { contextLength: 256, batchSize: 64, draft: draftModel() ?? "", ...exact };
        loaded = await engine.load({ ...loadSpec(path), ...terms }, never);
      });
      afterAll(() => loaded?.[Symbol.asyncDispose]());

      test("tells how it drafts", () => {
        expect(loaded.info.drafts).toEqual(["ngram", "model"]);
        expect(loaded.info.draftProblem).toBeUndefined();
      });

      describe("by n-grams", () => sameWithDrafts(() => loaded, ngram));
      describe("by a draft model", () => sameWithDrafts(() => loaded, byModel));
    },
  );
}

describe.skipIf(!haveLibrary)("a model that cannot draft", () => {
  const problemOf = async (path: string, draft: string) => {
    const loaded = await engine.load({ ...loadSpec(path), draft }, never);
    const { text, done } = await answer(loaded, "tom", { draft: byModel });
    const { drafts, draftProblem } = loaded.info;
    await loaded[Symbol.asyncDispose]();
    expect(text.length).toBeGreaterThan(0);
    expect(done.drafted).toBeUndefined();
    return { drafts, draftProblem };
  };

  test("says why its draft model is not used, and answers without", async () => {
    const model = file("plain.gguf", tinyDecoder("llama"));
    const others = file("others.gguf", tinyDecoder("llama", { bos: false }));
    expect(await problemOf(model, others)).toEqual({
      drafts: ["ngram"],
      draftProblem: expect.stringContaining("vocab"),
    });
    expect(await problemOf(model, join(folder, "missing.gguf"))).toEqual({
      drafts: ["ngram"],
      draftProblem: "unable to load it",
    });
    const forgetless = file("mamba.gguf", tinyMamba());
    expect(await problemOf(model, forgetless)).toEqual({
      drafts: ["ngram"],
      draftProblem: "its memory cannot forget wrong guesses",
    });
    expect((await problemOf(forgetless, model)).drafts).toBeUndefined();
  });

  test("is one whose results may not depend on the shape of a step", async () => {
    const path = file("fixed.gguf", tinyDecoder("llama"));
    const spec = { ...loadSpec(path), draft: path, deterministic: true };
    const loaded = await engine.load(spec, never);
    expect(loaded.info).not.toHaveProperty("drafts");
    const { done } = await answer(loaded, prompts[2] ?? "", { draft: ngram });
    expect(done.drafted).toBeUndefined();
    await loaded[Symbol.asyncDispose]();
  });

  test("by images drafts by n-grams alone", async () => {
    const path = file("seeing.gguf", tinyDecoder("llama"));
    const projector = file("eye.gguf", tinyProjector("mlp"));
    const spec = { ...loadSpec(path), contextLength: 2048, projectors: [projector], draft: path };
    const loaded = await engine.load(spec, never);
    const picture = { media: png([220, 20, 30], [10, 30, 200]) };
    const prompt = [picture, { text: prompts[2] ?? "", parseSpecial: false }];
    const plain = await answer(loaded, "", { prompt, maxTokens: 100 });
    const drafted = await answer(loaded, "", { prompt, maxTokens: 100, draft: ngram });
    expect(essence(drafted)).toEqual(essence(plain));
    expect(drafted.done.drafted?.tokens).toBeGreaterThan(0);
    const model = await answer(loaded, "", { prompt, maxTokens: 100, draft: byModel });
    expect(essence(model)).toEqual(essence(plain));
    expect(model.done.drafted).toBeUndefined();
    await loaded[Symbol.asyncDispose]();
  });
});
