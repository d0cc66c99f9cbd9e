/** Long texts are cut into tokens beside the steps: streams go on, and the tokens are the same. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Native, type NativeModel, StepBuffers } from "../../../ffi/native.ts";
import type { GenerateEvent, LoadSpec, TextPart } from "../../../src/engine/engine.ts";
import type { Report } from "../../../src/engine/protocol.ts";
import { EmbedQueue, type EmbedResult } from "../../../src/engine/runner/embed.ts";
import { PromptTokenizer } from "../../../src/engine/runner/prompt-tokens.ts";
import { Runner } from "../../../src/engine/runner/runner.ts";
import { cutBeside } from "../../../src/engine/runner/text-threads.ts";
import { NativeVocabulary } from "../../../src/engine/runner/vocabulary.ts";
import { testModel } from "../../support/executable.ts";
import { loadSpec, request } from "./cases.ts";
import { haveLibrary, libraryFolderOfTests, openModel } from "./native.ts";

const path = testModel("stories260K-f32.gguf") ?? "";
const ready = haveLibrary && path !== "";
const sentence = "Once upon a time there was a little girl who had a red ball and a big dog. ";
const long = sentence.repeat(Math.ceil(2e6 / sentence.length));
const middling = `Zoë ${sentence.repeat(200)}`;
const spec: LoadSpec = { ...loadSpec(path), contextLength: 512, batchSize: 64 };

/** Events of requests as they come, in order. */
class Heard {
  readonly reports: Report[] = [];
  readonly #waiting: (() => void)[] = [];

  take(report: Report): void {
    this.reports.push(report);
    for (const look of this.#waiting.splice(0)) look();
  }

  events(id: number): GenerateEvent[] {
    return this.reports.flatMap((report) =>
      report.type === "events"
        ? report.events.filter(([of]) => of === id).map(([, event]) => event)
        : [],
    );
  }

  error(id: number) {
    const found = this.reports.find((report) => report.type === "error" && report.id === id);
    return found?.type === "error" ? found.error : undefined;
  }

  /** Resolves when a condition holds; it is looked at whenever something was said. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      await promise;
    }
  }
}

describe.skipIf(!ready)("while a long text is cut into tokens", () => {
  let model: NativeModel;
  let heard: Heard;
  let runner: Runner;
  beforeEach(() => {
    model = openModel(new Native(libraryFolderOfTests), path, spec.slots);
    heard = new Heard();
    runner = new Runner(model, new NativeVocabulary(model), spec, 1e6, (said) => heard.take(said));
  });
  afterEach(() => model.free());

  const stream = async () => {
    runner.generate(1, request("The sun", { maxTokens: 1e6, sampling: { ...greedy, seed: 1 } }));
    await heard.until(() => heard.events(1).length > 3);
  };
  const greedy = request("").sampling;

  test("a stream goes on, and the tokens are those that are cut at once", async () => {
    await stream();
    const before = heard.events(1).length;
    const tokens = await runner.intake.tokenize(long, true, true);
    expect(heard.events(1).length - before).toBeGreaterThan(10);
    expect(tokens).toEqual(model.tokenize(long, true, true));
    runner.cancel(1);
  });

  test("a stream goes on, and a prompt that is too long is refused with its tokens", async () => {
    await stream();
    const before = heard.events(1).length;
    runner.generate(2, request(long));
    await heard.until(() => heard.error(2) !== undefined);
    expect(heard.events(1).length - before).toBeGreaterThan(10);
    expect(heard.error(2)?.message).toBe(
      `the prompt has ${model.tokenize(long, true, true).length} tokens, the context holds 512`,
    );
    runner.cancel(1);
  });

  test("who leaves is forgotten, and others are served", async () => {
    runner.generate(1, request(long));
    runner.cancel(1);
    runner.generate(2, request("The sun"));
    await heard.until(() => heard.events(2).some(({ type }) => type === "done"));
    // By then it was looked whether the first is done, and seen that nobody waits for it.
    await runner.intake.tokenize(middling, true, true);
    expect(heard.error(1)).toBeUndefined();
    expect(heard.events(1)).toEqual([]);
  });

  test("a short text does not wait for it", async () => {
    const started = runner.intake.tokenize(long, true, true);
    const short = runner.intake.tokenize("The sun", true, true);
    expect(short).toBeInstanceOf(Int32Array);
    expect(await started).toBeInstanceOf(Int32Array);
  });

  test("the model can be freed: what was cut is thrown away", async () => {
    const other = openModel(new Native(libraryFolderOfTests), path, 1);
    const jobs = [long, long, middling].map((text) =>
      other.tokenizeBeside([{ text, parseSpecial: true }], true),
    );
    expect(jobs[0]?.take()).toBeUndefined();
    other.free();
    for (const job of jobs) job.free();
  });

  test("prompts in pieces have the tokens that they have at once", async () => {
    const vocabulary = new NativeVocabulary(model);
    const prompts = new PromptTokenizer(vocabulary);
    const [special = ""] = vocabulary.specials.map(({ text }) => text);
    const user = (text: string): TextPart => ({ text, parseSpecial: false });
    const written = (text: string): TextPart => ({ text, parseSpecial: true });
    const parts: TextPart[] = [
      written(`${special}${sentence}`),
      user(`${special} ${middling}`),
      { tokens: [7, 8] },
      written(middling),
      written(special),
    ];
    const atOnce = prompts.tokens(parts).flatMap((stretch) => Array.from(stretch));
    const beside = await runner.intake.promptTokens(parts, false);
    expect(Array.from(beside)).toEqual(atOnce);
  });

  test("a context that is long comes with the last event", async () => {
    const wantContext = { wantContext: true, maxTokens: 4 };
    const tokens = Array.from(model.tokenize("The sun", false, true));
    const texts = [sentence.repeat(150)];
    const prompt = [{ tokens, texts }];
    runner.generate(1, { ...request("", wantContext), prompt });
    await heard.until(() => heard.events(1).some(({ type }) => type === "done"));
    const events = heard.events(1);
    const answer = events.map((event) => (event.type === "text" ? event.text : "")).join("");
    const done = events.at(-1);
    if (done?.type !== "done") throw new Error("no last event");
    const whole = model.tokenize(`${texts[0]}${answer}`, false, true);
    expect(done.context).toEqual(Array.from(whole));
  });

  test("texts to embed have the same vectors, and can be given up", async () => {
    const step = new StepBuffers(64);
    const options = { normalize: true, limit: 100, truncate: true };
    const embed = async (texts: string[]): Promise<EmbedResult[]> => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const queue = new EmbedQueue(model, step, {
        firstSpeed: 1,
        deterministic: true,
        ready: resolve,
      });
      queue.add({ id: 1, texts: [long], options });
      queue.cancel(1);
      queue.add({ id: 2, texts, options });
      if (queue.empty) await promise;
      const results: EmbedResult[] = [];
      while (!queue.empty) results.push(...queue.turn([0], false, () => {}));
      return results;
    };
    const [beside] = await embed([sentence, middling]);
    const cut = model.detokenize(model.tokenize(middling, false, true).slice(0, 98));
    const [atOnce] = await embed([sentence, cut]);
    if (beside === undefined || "error" in beside) throw beside?.error;
    if (atOnce === undefined || "error" in atOnce) throw atOnce?.error;
    expect(beside.id).toBe(2);
    expect(beside.vectors).toEqual(atOnce.vectors);
    expect(beside.cutTokens).toBeGreaterThan(1000);
  });

  test("an empty text and no text have no tokens", async () => {
    const texts = ["", sentence, ""].map((text) => ({ text, parseSpecial: false }));
    const cut = await cutBeside(model, texts, false);
    expect(cut).toEqual(texts.map(({ text }) => model.tokenize(text, false, false)));
    expect(await cutBeside(model, [], false)).toEqual([]);
  });
});
