/** What every engine keeps to: the fake one and the one on libllama run the same cases. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { markTexts } from "../../../src/chat/user-text.ts";
import type {
  Engine,
  GenerateEvent,
  GenerateRequest,
  LoadedModel,
  LoadSpec,
} from "../../../src/engine/engine.ts";
import { SpecialTexts } from "../../../src/engine/special-texts.ts";
import { ContextOverflowError, EngineError, ModelLoadError } from "../../../src/errors.ts";

const never = new AbortController().signal;

export function loadSpec(path: string): LoadSpec {
  return {
    path,
    adapters: [],
    projectors: [],
    contextLength: 256,
    slots: 2,
    batchSize: 256,
    threads: 1,
    gpuLayers: 0,
    kvCacheType: "f16",
    flashAttention: "auto",
  };
}

export function request(text: string, more: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    prompt: [{ text, parseSpecial: true }],
    addSpecial: true,
    sampling: {
      seed: 7,
      temperature: 0,
      topK: 40,
      topP: 0.9,
      minP: 0,
      typicalP: 1,
      repeatLastN: 64,
      repeatPenalty: 1,
      presencePenalty: 0,
      frequencyPenalty: 0,
      mirostat: 0,
      mirostatTau: 5,
      mirostatEta: 0.1,
    },
    stop: [],
    visible: [],
    maxTokens: 16,
    shift: true,
    keep: 4,
    wantContext: false,
    ...more,
  };
}

async function collect(events: AsyncIterable<GenerateEvent>) {
  let text = "";
  let done: Extract<GenerateEvent, { type: "done" }> | undefined;
  for await (const event of events) {
    if (event.type === "text") text += event.text;
    else done = event;
  }
  if (done === undefined) throw new Error("the stream ended without its final event");
  return { text, done };
}

/** Runs the cases. `create` makes an engine, `path` is a model that it can load. */
export function engineCases(create: () => Engine, path: string): void {
  let engine: Engine;
  let model: LoadedModel;
  const generate = (text: string, more?: Partial<GenerateRequest>) =>
    collect(model.generate(request(text, more), never));

  beforeAll(async () => {
    engine = create();
    model = await engine.load(loadSpec(path), never);
  });
  afterAll(() => engine?.[Symbol.asyncDispose]());

  test("tells what it loaded", () => {
    expect(model.info).toMatchObject({ contextLength: 256, slots: 2, memory: { gpu: 0 } });
  });

  test("turns text into tokens and back", async () => {
    const text = "Once upon a time, Zoë ate 3 🍎.";
    const tokens = await model.tokenize(text, { addSpecial: false, parseSpecial: true });
    expect((await model.detokenize(tokens)).trim()).toBe(text);
  });

  test("makes special tokens of what templates write, never of what users write", async () => {
    const { specialTokens } = model.info;
    const ids = new Set(specialTokens.map(({ id }) => id));
    const specials = new SpecialTexts(specialTokens.map(({ text }) => text));
    const tokens = (pieces: readonly string[]) => {
      const parts = pieces.map((text) => ({ text, parseSpecial: true }));
      return model.tokenizePrompt(parts, { addSpecial: false });
    };
    for (const { id, text } of specialTokens) {
      const written = `say ${text} or${text}so ${text}`;
      const { value, pieces } = markTexts(specials, [written]);
      const found = await tokens(pieces(`${text}${value[0]}${text}`));
      const special = found.filter((token) => ids.has(token));
      expect({ text, special }).toEqual({ text, special: [id, id] });
      expect([found[0], found.at(-1)]).toEqual([id, id]);
      const back = await model.detokenize(found.slice(1, -1));
      expect(back.trim()).toBe(written);
    }
    expect(specialTokens.length).toBeGreaterThan(0);
  });

  test("gives the same text for the same request, and ends at maxTokens", async () => {
    const first = await generate("Once upon a time");
    const second = await generate("Once upon a time");
    expect(second.text).toBe(first.text);
    expect(first.done).toMatchObject({ reason: "length", evalTokens: 16 });
    expect(first.text.length).toBeGreaterThan(0);
  });

  test("takes a common prefix from the cache", async () => {
    const long = "The little dog ran home. ".repeat(8);
    await generate(long);
    const { done } = await generate(long);
    expect(done.cachedTokens).toBe(done.promptTokens - 1);
  });

  test("ends before a stop text, also across token borders", async () => {
    const { text } = await generate("Once upon a time", { maxTokens: 40 });
    const stop = text.slice(9, 14);
    const stopped = await generate("Once upon a time", { maxTokens: 40, stop: [stop] });
    expect(stopped).toMatchObject({
      text: text.slice(0, text.indexOf(stop)),
      done: { reason: "stop" },
    });
  });

  test("serves two at once with the text that each gets alone", async () => {
    const alone = [(await generate("A cat")).text, (await generate("The sun")).text];
    const together = await Promise.all([generate("A cat"), generate("The sun")]);
    expect(together.map(({ text }) => text)).toEqual(alone);
  });

  test("frees the slot of a request that is given up", async () => {
    for (let round = 0; round < 5; round++) {
      const abort = new AbortController();
      const events = model.generate(request("Once upon a time", { maxTokens: 5000 }), abort.signal);
      const reading = (async () => {
        for await (const _ of events) abort.abort();
      })();
      expect(reading).rejects.toMatchObject({ name: "AbortError" });
      await reading.catch(() => undefined);
    }
    expect((await generate("Tom")).done.evalTokens).toBe(16);
  });

  const schema = (value: unknown) => ({ kind: "schema", text: JSON.stringify(value) }) as const;
  const flag = schema({
    type: "object",
    properties: { ok: { const: true }, kind: { enum: ["a"] } },
    required: ["ok", "kind"],
  });

  test("keeps an answer to its constraint, up to its end", async () => {
    const { text, done } = await generate("Once upon a time", { constraint: flag, maxTokens: 60 });
    expect(JSON.parse(text)).toEqual({ ok: true, kind: "a" });
    expect(done.reason).toBe("stop");
    const choice = { kind: "choice", text: JSON.stringify(['no "way"']) } as const;
    expect((await generate("Tom", { constraint: choice, maxTokens: 60 })).text).toBe('no "way"');
  });

  test("constrains after thinking, without another prompt", async () => {
    const free = (await generate("Once upon a time", { maxTokens: 40 })).text;
    const close = free.match(/ [a-z]+/gi)?.[2] ?? "";
    const thinking = { open: "<think>", close, opened: true };
    const { text, done } = await generate("Once upon a time", {
      constraint: { ...flag, thinking },
      maxTokens: 100,
    });
    const border = free.indexOf(close) + close.length;
    expect(text.startsWith(free.slice(0, border))).toBe(true);
    const answer = text.slice(text.indexOf("{"));
    expect(JSON.parse(answer)).toEqual({ ok: true, kind: "a" });
    expect(done.reason).toBe("stop");
  });

  test("constrains at once a model that does not begin with thinking", async () => {
    const thinking = { open: "<think>", close: "</think>", opened: false };
    const constraint = { ...flag, thinking };
    const { text } = await generate("Once upon a time", { constraint, maxTokens: 60 });
    expect(JSON.parse(text)).toEqual({ ok: true, kind: "a" });
  });

  test("serves a constrained and a free request side by side", async () => {
    const alone = (await generate("A cat")).text;
    const [free, held] = await Promise.all([
      generate("A cat"),
      generate("Tom", { constraint: flag, maxTokens: 60 }),
    ]);
    expect(free.text).toBe(alone);
    expect(JSON.parse(held.text)).toEqual({ ok: true, kind: "a" });
  });

  test("tells how far a schema can be kept, and judges texts", async () => {
    const good = '{"ok":true,"kind":"a"}';
    expect(await model.check(flag, [good, '{"ok":true}', "no"], never)).toMatchObject({
      level: "enforced",
      verdicts: [
        { accepted: true },
        { accepted: false, broken: { keyword: "required" } },
        { accepted: false, broken: { keyword: "" } },
      ],
    });
    const not = schema({ properties: { a: { not: { type: "string" } } } });
    expect(await model.check(not, [], never)).toMatchObject({
      level: "validated",
      reason: { pointer: "/properties/a/not", keyword: "not" },
    });
    const broken = { kind: "schema", text: "[" } as const;
    expect((await model.check(broken, [], never)).level).toBe("refused");
  });

  test("ends a request whose constraint is refused with an error", async () => {
    const constraint = { kind: "schema", text: "[" } as const;
    expect(generate("Tom", { constraint })).rejects.toBeInstanceOf(EngineError);
    expect((await generate("Tom")).done.evalTokens).toBe(16);
  });

  test("says by how much a prompt is too long", async () => {
    const long = generate("word ".repeat(400));
    expect(long).rejects.toBeInstanceOf(ContextOverflowError);
    const error = await long.catch((thrown: ContextOverflowError) => thrown);
    expect(error).toMatchObject({ contextLength: 256 });
  });

  const embedding = { normalize: true, limit: 64, truncate: true };

  test("gives vectors of length 1, the same for the same text", async () => {
    const { vectors } = await model.embed(["hello", "hello"], embedding, never);
    const [vector, same] = vectors;
    expect(Math.hypot(...(vector ?? []))).toBeCloseTo(1, 3);
    expect(Array.from(same ?? [])).toEqual(Array.from(vector ?? []));
  });

  test("gives a text's vector whatever else is asked for, in the order of the texts", async () => {
    const texts = Array.from({ length: 40 }, (_, i) => `The dog ran ${"home ".repeat(i % 7)}${i}`);
    const { vectors } = await model.embed(texts, embedding, never);
    const others = model.embed(texts.toReversed(), embedding, never);
    for (const [i, text] of texts.entries()) {
      const alone = (await model.embed([text], embedding, never)).vectors[0] ?? new Float32Array(1);
      const together = vectors[i] ?? [];
      const away = alone.map((value, at) => Math.abs(value - (together[at] ?? 9)));
      expect(Math.max(...away)).toBeLessThan(5e-4);
    }
    expect((await others).vectors).toHaveLength(texts.length);
  });

  test("cuts texts to the limit, or says that they are too long", async () => {
    const long = "word ".repeat(200);
    const { promptTokens } = await model.embed([long], embedding, never);
    expect(promptTokens).toBeLessThanOrEqual(64);
    expect(promptTokens).toBeGreaterThan(56);
    const refused = model.embed(["a", long], { ...embedding, truncate: false }, never);
    expect(refused).rejects.toBeInstanceOf(ContextOverflowError);
    await refused.catch(() => undefined);
    expect((await model.embed([], embedding, never)).vectors).toEqual([]);
  });

  test("answers and embeds at the same time", async () => {
    const alone = (await generate("Once upon a time", { maxTokens: 40 })).text;
    const texts = Array.from({ length: 100 }, (_, i) => `text number ${i}`);
    const [answer, { vectors }] = await Promise.all([
      generate("Once upon a time", { maxTokens: 40 }),
      model.embed(texts, embedding, never),
    ]);
    expect(answer.text).toBe(alone);
    expect(vectors).toHaveLength(100);
  });

  test("ends embedding when it is given up", async () => {
    const abort = new AbortController();
    const texts = Array.from({ length: 2000 }, (_, i) => `text number ${i}`);
    const running = model.embed(texts, embedding, abort.signal);
    abort.abort();
    const ended = await running.catch((error: Error) => error);
    expect(ended).toMatchObject({ name: "AbortError" });
    expect((await model.embed(["a"], embedding, never)).vectors).toHaveLength(1);
  });

  test("refuses a file that is not there", async () => {
    expect(engine.load(loadSpec(`${path}.missing`), never)).rejects.toBeInstanceOf(ModelLoadError);
  });

  test("ends running requests when the model is unloaded", async () => {
    const other = await engine.load(loadSpec(path), never);
    const running = collect(other.generate(request("Once", { maxTokens: 5000 }), never));
    const ended = running.catch((error: Error) => error);
    await other[Symbol.asyncDispose]();
    expect(await ended).toBeInstanceOf(Error);
    expect(await other.ended).toBeUndefined();
  });
}
