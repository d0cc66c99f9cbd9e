/**
 * What becomes of a request before it gets a slot: its prompt as tokens, its images read, its constraint
 * compiled. Short plain text is ready at once; the rest takes its time beside the runner's steps.
 */
import { facts, type NativeModel } from "../../../ffi/native.ts";
import { ContextOverflowError, EngineError } from "../../errors.ts";
import type { ConstraintUse, GenerateRequest, LoadSpec, TextPart } from "../engine.ts";
import { ConstraintCache, type HeldConstraint } from "./constraints.ts";
import { freeMedia, type MediaPrompt, MediaReader, type MediaSpan, type RawPart } from "./media.ts";
import { promptParts } from "./prompt-parts.ts";
import { PromptTokenizer, textsOf, type Vocabulary } from "./prompt-tokens.ts";
import { areLong, cutBeside, cutOneBeside } from "./text-threads.ts";

/** A request that is ready for a slot. */
export interface Waiting {
  readonly id: number;
  readonly request: GenerateRequest;
  readonly prompt: Int32Array;
  readonly spans: readonly MediaSpan[];
  readonly constraint: HeldConstraint | undefined;
  readonly order: number;
  paused: boolean;
}

/** Tokens that are there, or come when threads have cut a long text. */
export type Cut = Int32Array | Promise<Int32Array>;

const none = new Int32Array(0);

/** Longest text handed to the tokenizer, in UTF-16 units: beyond it no context is long enough. */
const longestText = 64 * 1024 * 1024;

/** Milliseconds for compiling a constraint, which was compiled in bounded time before (`checker.ts`). */
const compileLimitMs = 20_000;

function refuseEndless(text: string): void {
  if (text.length > longestText) throw new EngineError("the text is too long to tokenise");
}

/** Gives back what a request holds that never got a slot. */
export function dropWaiting({ spans, constraint }: Pick<Waiting, "spans" | "constraint">): void {
  freeMedia(spans);
  constraint?.release();
}

/** Who hears how it went. */
export interface IntakeEvents {
  ready(waiting: Waiting): void;
  failed(id: number, error: unknown): void;
}

export class Intake {
  readonly #model: NativeModel;
  readonly #spec: LoadSpec;
  readonly #events: IntakeEvents;
  readonly #prompts: PromptTokenizer;
  readonly #constraints: ConstraintCache;
  readonly #media: MediaReader;
  readonly #generates: boolean;
  readonly #cells: number;
  readonly #addsBos: boolean;
  readonly #bos: number;
  /** Requests whose long texts are being cut, whose images read, or whose constraint compiled. */
  readonly #reading = new Map<number, { paused: boolean }>();
  #orders = 0;

  constructor(model: NativeModel, vocabulary: Vocabulary, spec: LoadSpec, events: IntakeEvents) {
    this.#model = model;
    this.#spec = spec;
    this.#events = events;
    this.#prompts = new PromptTokenizer(vocabulary);
    this.#constraints = new ConstraintCache(model, compileLimitMs);
    this.#media = new MediaReader(model);
    this.#generates = model.fact(facts.generates) === 1;
    this.#cells = model.fact(facts.context);
    this.#addsBos = model.fact(facts.addsBos) === 1;
    this.#bos = model.fact(facts.bos);
  }

  /** Brings a request to `ready` or `failed`, at once when nothing has to be waited for. */
  take(id: number, request: GenerateRequest): void {
    try {
      this.#take(id, request);
    } catch (error) {
      this.#events.failed(id, error);
    }
  }

  /** @throws ContextOverflowError, EngineError for what is known at once; the rest is told to `failed` */
  #take(id: number, request: GenerateRequest): void {
    if (!this.#generates) throw new EngineError("the model cannot generate text");
    const canceled = () => !this.#reading.has(id);
    const parts = promptParts(request.prompt, (texts, first) =>
      this.promptTokens(texts, first && request.addSpecial, canceled),
    );
    const order = this.#orders++;
    const [only] = parts;
    const plain = parts.length === 1 && request.constraint === undefined;
    if (plain && only instanceof Int32Array) {
      const nothing = { spans: [], constraint: undefined };
      this.#ready({ id, request, prompt: only, order, paused: false, ...nothing });
    } else void this.#prepare(id, request, parts, order);
  }

  cancel(id: number): void {
    this.#reading.delete(id);
  }

  /** Back-pressure on a request that is still being read. */
  pause(id: number, paused: boolean): void {
    const reading = this.#reading.get(id);
    if (reading !== undefined) reading.paused = paused;
  }

  /** Tokens of a text; of a long one a promise: it is cut beside the steps. @throws EngineError */
  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Cut {
    refuseEndless(text);
    const part = { text, parseSpecial };
    if (!areLong([part])) return this.#model.tokenize(text, addSpecial, parseSpecial);
    return cutOneBeside(this.#model, part, addSpecial);
  }

  /**
   * Tokens of a prompt, a promise when its texts are long; BOS in front when the tokenizer wants one and
   * it is not there.
   *
   * @param canceled asked while long texts are cut; ends that with an error
   */
  promptTokens(
    prompt: readonly TextPart[],
    addSpecial: boolean,
    canceled: () => boolean = () => false,
  ): Cut {
    const long = areLong(prompt.filter((part) => "text" in part));
    if (long) return this.#longPrompt(prompt, addSpecial, canceled);
    return this.#joined(this.#prompts.tokens(prompt), addSpecial);
  }

  async #longPrompt(
    prompt: readonly TextPart[],
    addSpecial: boolean,
    canceled: () => boolean,
  ): Promise<Int32Array> {
    for (const part of prompt) if ("text" in part) refuseEndless(part.text);
    const plan = this.#prompts.plan(prompt);
    const cut = await cutBeside(this.#model, textsOf(plan), false, canceled);
    let next = 0;
    const parts = this.#prompts.assemble(plan, () => cut[next++] ?? none);
    return this.#joined(parts, addSpecial);
  }

  /** Tokens of the stretches of a prompt in one, with BOS where it belongs. */
  #joined(parts: readonly ArrayLike<number>[], addSpecial: boolean): Int32Array {
    const only = parts[0];
    const first = parts.find(({ length }) => length > 0)?.[0];
    const bos = addSpecial && this.#addsBos && this.#bos >= 0 && first !== this.#bos;
    if (parts.length === 1 && only instanceof Int32Array && !bos) return only;
    const whole = new Int32Array(parts.reduce((sum, { length }) => sum + length, bos ? 1 : 0));
    let at = 0;
    if (bos) whole[at++] = this.#bos;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  /** The compiled constraint of a request. @throws EngineError */
  async #hold(use: ConstraintUse | undefined): Promise<HeldConstraint | undefined> {
    if (use === undefined) return undefined;
    // Written answers have no members that their schema does not name.
    const kind = use.kind === "schema" ? "answer" : use.kind;
    return await this.#constraints.hold({ kind, text: use.text });
  }

  /** Lets a request wait for its slot. @throws ContextOverflowError, EngineError */
  #ready(waiting: Waiting): void {
    const { prompt } = waiting;
    if (prompt.length === 0) throw new EngineError("the prompt has no tokens");
    // By the cells, not the plain context length: the engine rounds that up (api.md 4).
    if (prompt.length > this.#cells - 1) {
      const limit = this.#spec.contextLength;
      throw new ContextOverflowError(
        `the prompt has ${prompt.length} tokens, the context holds ${limit}`,
        prompt.length,
        limit,
      );
    }
    this.#events.ready(waiting);
  }

  /** Tokens and media of a prompt, read one after the other. @throws EngineError, InvalidRequestError */
  async #read(
    cut: readonly (RawPart | Promise<Int32Array>)[],
    canceled: () => boolean,
  ): Promise<MediaPrompt> {
    const parts = await Promise.all(cut);
    const [only] = parts;
    // What has no media need not wait for those of others.
    if (parts.length === 1 && only instanceof Int32Array) return { tokens: only, spans: [] };
    return await this.#media.read(parts, canceled);
  }

  /** Cuts long texts, reads images, compiles a constraint; the request waits for a slot afterwards. */
  async #prepare(
    id: number,
    request: GenerateRequest,
    parts: readonly (RawPart | Promise<Int32Array>)[],
    order: number,
  ): Promise<void> {
    const reading = { paused: false };
    this.#reading.set(id, reading);
    const canceled = () => !this.#reading.has(id);
    try {
      const { tokens: prompt, spans } = await this.#read(parts, canceled);
      let constraint: HeldConstraint | undefined;
      const drop = () => dropWaiting({ spans, constraint });
      try {
        if (!canceled()) constraint = await this.#hold(request.constraint);
        if (canceled()) return drop();
        this.#ready({ id, request, prompt, spans, constraint, order, ...reading });
      } catch (error) {
        drop();
        throw error;
      }
    } catch (error) {
      if (!canceled()) this.#events.failed(id, error);
    } finally {
      this.#reading.delete(id);
    }
  }
}
