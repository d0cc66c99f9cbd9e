/**
 * The engine without native code: the same interface, deterministic words instead of a model. For
 * tests of everything above the engine, and for clients that want a server without weights.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  ContextOverflowError,
  EngineCrashedError,
  EngineError,
  InvalidRequestError,
  ModelLoadError,
} from "../errors.ts";
import { embedTokens, type TextTokenizer } from "./embed-tokens.ts";
import type {
  Constraint,
  ConstraintReport,
  Embeddings,
  EmbedOptions,
  Engine,
  GenerateEvent,
  GenerateRequest,
  LoadedModel,
  LoadedModelInfo,
  LoadSpec,
  PromptPart,
  TemplateRequest,
  TextPart,
} from "./engine.ts";
import { argumentSchemas, fakeReport, obedientText } from "./fake-constraint.ts";
import { PromptTokenizer } from "./runner/prompt-tokens.ts";
import { TextAssembler } from "./runner/text.ts";
import { SpecialTexts } from "./special-texts.ts";

export interface FakeOptions {
  /**
   * What a prompt is answered with; by default its own words, over and over.
   * @param schemas of the arguments of each tool, where calls of tools are constrained
   */
  readonly reply?: (prompt: string, schemas: readonly unknown[]) => string;
  /** Milliseconds before each token and before a load is done. */
  readonly tokenDelay?: number;
  readonly loadDelay?: number;
  /** Milliseconds before the first token of an answer, and before vectors. */
  readonly firstDelay?: number;
  /** Tokens a second of each answer; as fast as it goes when undefined. */
  readonly tokenRate?: number;
  /** Takes images without a projector. */
  readonly images?: boolean;
  /** Length of vectors, 8 unless given. */
  readonly embeddingLength?: number;
  /** Makes every load fail with this text. */
  readonly loadFailure?: string;
  /** The model "crashes" after so many tokens of a request. */
  readonly crashAfter?: number;
}

/** Tokens are the characters' code points, BOS is 1, and behind all characters stand ChatML's marks. */
const bos = 1;
const vocabularySize = 0x110002;
const specials = ["<|im_start|>", "<|im_end|>"].map((text, i) => ({
  id: 0x110000 + i,
  text,
  stripsLeft: false,
  stripsRight: false,
  control: true,
  added: false,
}));
const specialTexts = new SpecialTexts(specials.map(({ text }) => text));
const codePoints = (text: string) => Array.from(text, (letter) => letter.codePointAt(0) ?? 0);

/** Token ids of a text whose special tokens count. */
function parseTokens(text: string): number[] {
  const found = specialTexts.find(text);
  if (found === undefined) return codePoints(text);
  const end = found.at + found.length;
  const id = specials.find((special) => special.text === text.slice(found.at, end))?.id ?? 0;
  return [...codePoints(text.slice(0, found.at)), id, ...parseTokens(text.slice(end))];
}

function spell(tokens: ArrayLike<number>): string {
  return Array.from(tokens)
    .filter((token) => token !== bos)
    .map((token) => specials.find(({ id }) => id === token)?.text ?? String.fromCodePoint(token))
    .join("");
}

const letters: TextTokenizer = {
  tokenize: (text, addSpecial) => [...(addSpecial ? [bos] : []), ...parseTokens(text)],
  detokenize: spell,
};

/** A sum of a direction for each word, so that texts with common words lie close to each other. */
function vectorOf(tokens: ArrayLike<number>, width: number, normalize: boolean): Float32Array {
  const vector = new Float32Array(width);
  for (const word of wordsOf(spell(tokens).toLowerCase())) {
    const hash = BigInt(Bun.hash(word.trim()));
    for (let part = 0n; part < 4n; part++) {
      const bits = Number((hash >> (part * 16n)) & 0xffffn);
      const at = (bits >> 1) % width;
      vector[at] = (vector[at] ?? 0) + (bits % 2 === 0 ? 1 : -1);
    }
  }
  // A text without words, or whose words cancel out, lies somewhere too.
  if (vector.every((value) => value === 0)) vector[0] = 1;
  const length = normalize ? Math.hypot(...vector) || 1 : 1;
  return vector.map((value) => value / length);
}

const prompts = new PromptTokenizer({
  specials,
  tokenize: (text, parseSpecial) =>
    Int32Array.from(parseSpecial ? parseTokens(text) : codePoints(text)),
  spell: codePoints,
});

export class FakeEngine implements Engine {
  readonly #options: FakeOptions;
  readonly #models = new Set<FakeModel>();

  constructor(options: FakeOptions = {}) {
    this.#options = options;
  }

  async load(spec: LoadSpec, signal: AbortSignal): Promise<LoadedModel> {
    signal.throwIfAborted();
    await Bun.sleep(this.#options.loadDelay ?? 0);
    signal.throwIfAborted();
    if (this.#options.loadFailure !== undefined) {
      throw new ModelLoadError(this.#options.loadFailure);
    }
    if (!(await Bun.file(spec.path).exists())) {
      throw new ModelLoadError(`unable to load model: ${spec.path} does not exist`);
    }
    const model = new FakeModel(spec, this.#options);
    this.#models.add(model);
    return model;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#models].map((model) => model[Symbol.asyncDispose]()));
  }
}

class FakeModel implements LoadedModel {
  readonly info: LoadedModelInfo;
  readonly #options: FakeOptions;
  readonly #ended = Promise.withResolvers<Error | undefined>();
  readonly #over = new AbortController();
  readonly ended = this.#ended.promise;
  #busy = 0;
  #waiting: (() => void)[] = [];
  /** Tokens of the last request, as a cache would hold them. */
  #cached: readonly number[] = [];

  constructor(spec: LoadSpec, options: FakeOptions) {
    this.#options = options;
    this.info = {
      contextLength: spec.contextLength,
      trainedContextLength: 1 << 20,
      slots: spec.slots,
      vocabularySize,
      addsBos: true,
      embeddingLength: options.embeddingLength ?? 8,
      inputs: { images: options.images ?? spec.projectors.length > 0, sound: false },
      canShift: true,
      specialTokens: specials.map(({ id, text }) => ({ id, text })),
      memory: { total: 1 << 20, gpu: 0 },
      loadNs: 1,
    };
  }

  async tokenize(
    text: string,
    options: { addSpecial: boolean; parseSpecial: boolean },
  ): Promise<number[]> {
    const tokens = options.parseSpecial ? parseTokens(text) : codePoints(text);
    return options.addSpecial ? [bos, ...tokens] : tokens;
  }

  async tokenizePrompt(
    prompt: readonly TextPart[],
    options: { addSpecial: boolean },
  ): Promise<readonly number[]> {
    const tokens = prompts.tokens(prompt).flatMap((part) => Array.from(part));
    return options.addSpecial && tokens[0] !== bos ? [bos, ...tokens] : tokens;
  }

  async detokenize(tokens: readonly number[]): Promise<string> {
    return spell(tokens);
  }

  async applyTemplate({ messagesJson, ending }: TemplateRequest): Promise<string> {
    const messages = JSON.parse(messagesJson) as { role: string; content: string }[];
    const turns = messages.map(
      ({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`,
    );
    const text = turns.join("");
    if (ending === "continued") return text.slice(0, -"<|im_end|>\n".length);
    return `${text}<|im_start|>assistant\n`;
  }

  async #slot(signal: AbortSignal): Promise<void> {
    while (this.#busy >= this.info.slots) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
      await promise;
      signal.throwIfAborted();
    }
    this.#busy++;
  }

  /** Waits, but not for a request that was given up. */
  async #wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (milliseconds > 0) await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
    else await Bun.sleep(0);
    this.#alive(signal);
  }

  #alive(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#over.signal.aborted) throw this.#over.signal.reason;
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateEvent> {
    this.#alive(signal);
    const prompt = await this.tokenizePrompt(
      request.prompt.map((part) => this.#text(part)),
      request,
    );
    const { contextLength } = this.info;
    if (prompt.length > contextLength - 1) {
      throw new ContextOverflowError(
        `the prompt has ${prompt.length} tokens, the context holds ${contextLength}`,
        prompt.length,
        contextLength,
      );
    }
    await this.#slot(signal);
    try {
      yield* this.#answer(request, prompt, signal);
    } finally {
      this.#busy--;
      this.#waiting.shift()?.();
    }
  }

  /** A media is the sign for an object in a text, and a letter that depends on its bytes. */
  #text(part: PromptPart): TextPart {
    if (!("media" in part)) return part;
    if (!this.info.inputs.images) throw new InvalidRequestError("the fake model takes no images");
    return { tokens: [0xfffc, 0x2800 + (Bun.hash.crc32(part.media) & 0xff)] };
  }

  async *#answer(
    request: GenerateRequest,
    prompt: readonly number[],
    signal: AbortSignal,
  ): AsyncGenerator<GenerateEvent> {
    const text = await this.detokenize(prompt);
    const { constraint } = request;
    const reply = this.#options.reply?.(text, argumentSchemas(constraint?.text ?? ""));
    const free = wordsOf(reply ?? ` ${text}`);
    const words =
      constraint === undefined || constraint.tag !== undefined
        ? free
        : wordsOf(thinkingBefore(free.join(""), constraint.thinking) + obedientText(constraint));
    const ends = reply !== undefined || words !== free;
    const assembler = new TextAssembler(request.stop);
    let common = 0;
    while (common < prompt.length - 1 && this.#cached[common] === prompt[common]) common++;
    let output = "";
    let tokens = 0;
    let used = prompt.length;
    let reason: "stop" | "length" = "length";
    const { firstDelay = 0, tokenDelay = 0, tokenRate } = this.#options;
    const began = performance.now();
    await this.#wait(firstDelay, signal);
    const first = performance.now();
    while (tokens < request.maxTokens) {
      const due = tokenRate === undefined ? 0 : first + (tokens * 1000) / tokenRate;
      await this.#wait(Math.max(tokenDelay, due - performance.now()), signal);
      if (tokens === this.#options.crashAfter) this.#crash();
      const word = ends ? words[tokens] : words[tokens % words.length];
      tokens++;
      if (word === undefined) {
        reason = "stop";
        break;
      }
      used++;
      const piece = assembler.push(new TextEncoder().encode(word));
      output += piece.text;
      if (piece.text !== "") {
        const logprob = {
          token: word,
          logprob: 0,
          bytes: [...new TextEncoder().encode(word)],
          top: [],
        };
        const logprobs = request.logprobs === undefined ? {} : { logprobs: [logprob] };
        yield { type: "text", text: piece.text, ...logprobs };
      }
      if (piece.stopped) {
        reason = "stop";
        break;
      }
      if (used >= this.info.contextLength && !request.shift) break;
    }
    const rest = assembler.end();
    if (rest !== "") yield { type: "text", text: rest };
    this.#cached = prompt;
    const whole = text + output + rest;
    const context = await this.tokenize(whole, { addSpecial: false, parseSpecial: true });
    yield {
      type: "done",
      reason,
      promptTokens: prompt.length,
      cachedTokens: common,
      shiftedTokens: 0,
      promptNs: Math.round((first - began) * 1e6),
      evalTokens: tokens,
      evalNs: Math.round((performance.now() - first) * 1e6),
      ...(request.wantContext ? { context } : {}),
    };
  }

  async check(
    constraint: Constraint,
    texts: readonly string[],
    signal: AbortSignal,
  ): Promise<ConstraintReport> {
    this.#alive(signal);
    return fakeReport(constraint, texts);
  }

  #crash(): never {
    const error = new EngineCrashedError("model runner has unexpectedly stopped: asked to");
    this.#over.abort(error);
    this.#ended.resolve(error);
    throw error;
  }

  async embed(
    texts: readonly string[],
    options: EmbedOptions,
    signal: AbortSignal,
  ): Promise<Embeddings> {
    this.#alive(signal);
    await this.#wait(this.#options.firstDelay ?? this.#options.tokenDelay ?? 0, signal);
    const all = texts.map((text) => embedTokens(letters, text, options));
    return {
      vectors: all.map(({ tokens }) =>
        vectorOf(tokens, this.info.embeddingLength, options.normalize),
      ),
      promptTokens: all.reduce((sum, { tokens }) => sum + tokens.length, 0),
      cutTokens: all.reduce((sum, { cut }) => sum + cut, 0),
    };
  }

  residentBytes(): undefined {
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new EngineError("the model was unloaded"));
    this.#ended.resolve(undefined);
  }
}

/** Words with the blanks before them, and marks by themselves: much as a tokenizer cuts. */
function wordsOf(text: string): string[] {
  return text.match(/\s*(?:[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_])|\s+$/gu) ?? [""];
}

/** What the model says before its constraint holds: nothing, or its words up to the end of thinking. */
function thinkingBefore(
  free: string,
  thinking: NonNullable<GenerateRequest["constraint"]>["thinking"],
): string {
  if (thinking === undefined) return "";
  const at = free.indexOf(thinking.close);
  if (at < 0) return "";
  return (thinking.opened ? "" : thinking.open) + free.slice(0, at + thinking.close.length);
}
