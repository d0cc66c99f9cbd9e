/**
 * An engine without native code whose answers a test writes beforehand. Tokens are single characters
 * (their code points). It keeps what it was asked, and can be told to fail, to wait, or to die.
 */
import { embedTokens } from "../../src/engine/embed-tokens.ts";
import type {
  Constraint,
  ConstraintReport,
  Embeddings,
  EmbedOptions,
  Engine,
  GenerateEvent,
  GenerateRequest,
  LoadedModel,
  LoadSpec,
  PromptPart,
  TemplateRequest,
  TextPart,
} from "../../src/engine/engine.ts";

/** One step of an answer: a piece of text, or something that happens instead. */
export type Step = string | Error | Promise<unknown>;

export interface Answer {
  readonly steps: readonly Step[];
  readonly reason?: "stop" | "length";
  /** Counts and times of the last event, where the engine's own do not do. */
  readonly counts?: Partial<
    Pick<
      Extract<GenerateEvent, { type: "done" }>,
      "promptTokens" | "promptNs" | "evalTokens" | "evalNs"
    >
  >;
}

export class ScriptedEngine implements Engine {
  /** Loads so far, and the requests of all models. */
  readonly loads: LoadSpec[] = [];
  readonly requests: GenerateRequest[] = [];
  readonly conversations: TemplateRequest[] = [];
  /** What the next requests are answered with, one after the other; the last one stays. */
  answers: Answer[] = [{ steps: ["Hello", " there"] }];
  /** What checks of constraints are answered with. */
  onCheck: (constraint: Constraint, texts: readonly string[]) => ConstraintReport = (_, texts) => ({
    level: "enforced",
    compileMs: 0,
    verdicts: texts.map(() => ({ accepted: true })),
  });
  /** What a load does before it succeeds: waits, or fails. */
  onLoad: (spec: LoadSpec, signal: AbortSignal) => Promise<void> = async () => {};
  /** Requests that ended before their answer did. */
  canceled = 0;
  /** Events that readers took. */
  taken = 0;
  readonly models = new Set<ScriptedModel>();
  /** The numbers of a vector; by default half ones, then how many tokens the text has. */
  vector: readonly number[] | undefined;
  /** What embedding fails with. */
  embedFailure: Error | undefined;
  /** Tokens that the next answers say came from the cache. */
  cachedTokens = 0;
  /** Tokens that the next answers say they pushed out of a full context. */
  shiftedTokens = 0;
  /** How the next models that are loaded can draft: as asked for, 5 of 8 guesses come true. */
  drafts: LoadedModel["info"]["drafts"];
  /** Texts of special tokens; they count as characters all the same. */
  specials: readonly string[] = ["<|im_start|>", "<|im_end|>"];

  async load(spec: LoadSpec, signal: AbortSignal): Promise<LoadedModel> {
    this.loads.push(spec);
    await this.onLoad(spec, signal);
    signal.throwIfAborted();
    const model = new ScriptedModel(this, spec);
    this.models.add(model);
    return model;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const model of this.models) await model[Symbol.asyncDispose]();
  }
}

const codePoints = (text: string) => Array.from(text, (letter) => letter.codePointAt(0) ?? 0);

function textOf(parts: readonly PromptPart[]): string {
  return parts
    .map((part) => {
      if ("media" in part) return "\ufffc"; // the sign for an object in a text
      return "tokens" in part ? String.fromCodePoint(...part.tokens) : part.text;
    })
    .join("");
}

class ScriptedModel implements LoadedModel {
  readonly #engine: ScriptedEngine;
  readonly #ended = Promise.withResolvers<Error | undefined>();
  readonly info: LoadedModel["info"];
  readonly ended = this.#ended.promise;

  constructor(engine: ScriptedEngine, spec: LoadSpec) {
    this.#engine = engine;
    this.info = {
      contextLength: spec.contextLength,
      trainedContextLength: 2048,
      slots: spec.slots,
      vocabularySize: 0x11_0000,
      addsBos: false,
      embeddingLength: 4,
      inputs: { images: spec.projectors.length > 0, sound: false },
      canShift: true,
      ...(engine.drafts === undefined
        ? {}
        : { drafts: engine.drafts.filter((kind) => kind !== "model" || spec.draft !== undefined) }),
      specialTokens: engine.specials.map((text, i) => ({ id: 0x11_0000 + i, text })),
      memory: { total: 1_000_000, gpu: 0 },
      loadNs: 5,
    };
  }

  async tokenize(text: string): Promise<number[]> {
    return codePoints(text);
  }

  async tokenizePrompt(prompt: readonly TextPart[]): Promise<readonly number[]> {
    return codePoints(textOf(prompt));
  }

  async detokenize(tokens: readonly number[]): Promise<string> {
    return tokens
      .map((token) => this.#engine.specials[token - 0x11_0000] ?? String.fromCodePoint(token))
      .join("");
  }

  async applyTemplate(request: TemplateRequest): Promise<string> {
    this.#engine.conversations.push(request);
    const messages = JSON.parse(request.messagesJson) as { role: string; content: string }[];
    const text = messages.map(({ role, content }) => `[${role}] ${content}\n`).join("");
    return request.ending === "continued" ? text.slice(0, -1) : `${text}[assistant] `;
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<GenerateEvent> {
    const engine = this.#engine;
    engine.requests.push(request);
    const answer = engine.answers.length > 1 ? engine.answers.shift() : engine.answers[0];
    const prompt = textOf(request.prompt);
    let text = "";
    let done = false;
    const left = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    left.catch(() => {});
    try {
      for (const step of answer?.steps ?? []) {
        signal.throwIfAborted();
        if (step instanceof Error) throw step;
        if (step instanceof Promise) {
          await Promise.race([step, left]);
          continue;
        }
        text += step;
        engine.taken++;
        yield { type: "text", text: step, ...this.#logprobs(request, step) };
      }
      done = true;
      yield {
        type: "done",
        reason: answer?.reason ?? "stop",
        promptTokens: codePoints(prompt).length,
        cachedTokens: engine.cachedTokens,
        shiftedTokens: engine.shiftedTokens,
        promptNs: 3000,
        evalTokens: codePoints(text).length + 1,
        evalNs: 4000,
        ...(request.draft === undefined ? {} : { drafted: { tokens: 8, accepted: 5 } }),
        ...answer?.counts,
        ...(request.wantContext ? { context: codePoints(prompt + text) } : {}),
      };
    } finally {
      if (!done) engine.canceled++;
    }
  }

  #logprobs(request: GenerateRequest, token: string) {
    const { logprobs } = request;
    if (logprobs === undefined) return {};
    const own = { token, logprob: -0.5, bytes: [...new TextEncoder().encode(token)] };
    return { logprobs: [{ ...own, top: Array.from({ length: logprobs }, () => own) }] };
  }

  async check(constraint: Constraint, texts: readonly string[]): Promise<ConstraintReport> {
    return this.#engine.onCheck(constraint, texts);
  }

  async embed(texts: readonly string[], options: EmbedOptions): Promise<Embeddings> {
    if (this.#engine.embedFailure !== undefined) throw this.#engine.embedFailure;
    const { vector } = this.#engine;
    const all = texts.map((text) =>
      embedTokens(
        { tokenize: codePoints, detokenize: (t) => String.fromCodePoint(...t) },
        text,
        options,
      ),
    );
    return {
      vectors: all.map(({ tokens }) => Float32Array.from(vector ?? [0.5, 0.5, 0.5, tokens.length])),
      promptTokens: all.reduce((sum, { tokens }) => sum + tokens.length, 0),
      cutTokens: all.reduce((sum, { cut }) => sum + cut, 0),
    };
  }

  /** The model's process ends by itself. */
  die(reason: Error): void {
    this.#ended.resolve(reason);
  }

  residentBytes(): undefined {
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#engine.models.delete(this);
    this.#ended.resolve(undefined);
  }
}
