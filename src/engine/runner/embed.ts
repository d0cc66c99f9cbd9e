/**
 * Embeddings in a runner: texts of all requests, in turn, share batches. One batch a turn, bounded by
 * the measured speed, so that running answers go on and cancels are seen. A text that may be read in
 * pieces (causal, its last token counts) and is longer than a batch takes several.
 */
import { facts, type NativeModel, type StepBuffers, status } from "../../../ffi/native.ts";
import { EngineError } from "../../errors.ts";
import { embedTokens, type TextTokenizer } from "../embed-tokens.ts";
import type { EmbedOptions } from "../engine.ts";
import type { Report } from "../protocol.ts";
import { toFailure } from "./failure.ts";
import { promptChunk } from "./plan.ts";
import { areLong, cutOneBeside } from "./text-threads.ts";

export interface EmbedJob {
  readonly id: number;
  readonly texts: readonly string[];
  readonly options: EmbedOptions;
}

/** What a request gets: vectors one after the other, or what went wrong. */
export type EmbedResult =
  | {
      readonly id: number;
      readonly vectors: Float32Array;
      readonly promptTokens: number;
      readonly cutTokens: number;
    }
  | { readonly id: number; readonly error: unknown };

/** Tokens of long texts, with and without those that begin and end a text; the latter where a limit cuts. */
type LongTexts = ReadonlyMap<string, { readonly framed: Int32Array; readonly plain?: Int32Array }>;

/** Cuts the long ones among texts beside the steps, one after the other. @throws EngineError */
async function cutLong(
  model: NativeModel,
  { texts, options }: EmbedJob,
  canceled: () => boolean,
): Promise<LongTexts> {
  const cut = (text: string, addSpecial: boolean) =>
    cutOneBeside(model, { text, parseSpecial: true }, addSpecial, canceled);
  const long = new Map<string, { framed: Int32Array; plain?: Int32Array }>();
  for (const text of new Set(texts.filter((one) => areLong([{ text: one }])))) {
    const framed = await cut(text, true);
    const plain = framed.length > options.limit ? { plain: await cut(text, false) } : {};
    long.set(text, { framed, ...plain });
  }
  return long;
}

/** A tokenizer that knows long texts already. */
function withLong(tokenizer: TextTokenizer, long: LongTexts): TextTokenizer {
  return {
    ...tokenizer,
    tokenize: (text, addSpecial) => {
      const known = long.get(text);
      return (addSpecial ? known?.framed : known?.plain) ?? tokenizer.tokenize(text, addSpecial);
    },
  };
}

/** A request that is not finished. */
class Work {
  readonly vectors: Float32Array;
  promptTokens = 0;
  cutTokens = 0;
  /** First text that has not begun; those before it are done or hold a sequence. */
  next = 0;
  finished = 0;
  /** Tokens of text `next`, once it was looked at. */
  ahead: ArrayLike<number> | undefined;
  /** Text `next` was given up once: it is not again, so that there is progress. */
  again = false;
  /** The last turn had a text of it. */
  served = false;

  constructor(
    readonly job: EmbedJob,
    readonly width: number,
    /** Its long texts, or why they could not be cut. */
    readonly long: LongTexts | { readonly error: unknown } = new Map(),
  ) {
    this.vectors = new Float32Array(job.texts.length * width);
  }

  /** Tokens of the next text. @throws when it is too long or empty */
  look(tokenizer: TextTokenizer): ArrayLike<number> {
    if (this.ahead === undefined) {
      const { long } = this;
      if ("error" in long) throw long.error;
      const text = this.job.texts[this.next] ?? "";
      const known = long.size === 0 ? tokenizer : withLong(tokenizer, long);
      const { tokens, cut } = embedTokens(known, text, this.job.options);
      this.ahead = tokens;
      this.cutTokens += cut;
    }
    return this.ahead;
  }
}

/** A text that is being evaluated. */
interface Reading {
  readonly work: Work;
  readonly index: number;
  readonly tokens: ArrayLike<number>;
  readonly sequence: number;
  evaluated: number;
  /** Row of its last token in the step, -1 when that is still to come. */
  lastRow: number;
}

export class EmbedQueue {
  readonly #model: NativeModel;
  readonly #step: StepBuffers;
  readonly #tokenizer: TextTokenizer;
  readonly #width: number;
  readonly #whole: boolean;
  /** Tokens that the cache holds, of all texts together. */
  readonly #cells: number;
  readonly #pooled: boolean;
  /** One text a batch, in pieces that do not depend on the clock. */
  readonly #deterministic: boolean;
  /** Steps may end early when the parent has something to say. */
  readonly #interruptible: boolean;
  /** Tokens a second, measured. */
  #speed: number;
  #works: Work[] = [];
  readonly #ready: () => void;
  /** Requests whose long texts are being cut. */
  readonly #coming = new Set<number>();
  /** What this turn has brought. */
  #results: EmbedResult[] = [];
  /** A text whose tokens do not fit into one step. */
  #long: Reading | undefined;

  /** @param firstSpeed tokens a second, a cautious guess */
  constructor(
    model: NativeModel,
    step: StepBuffers,
    options: {
      readonly firstSpeed: number;
      readonly deterministic: boolean;
      /** A request has come whose long texts had to be cut first. */
      readonly ready: () => void;
    },
  ) {
    this.#model = model;
    this.#step = step;
    this.#tokenizer = {
      tokenize: (text, addSpecial) => model.tokenize(text, addSpecial, true),
      detokenize: (tokens) => model.detokenize(Int32Array.from(tokens)),
    };
    this.#width = model.fact(facts.embedding);
    this.#whole = model.fact(facts.whole) === 1;
    this.#cells = model.fact(facts.context);
    this.#pooled = model.fact(facts.pooled) === 1;
    this.#deterministic = options.deterministic;
    this.#interruptible = model.fact(facts.interruptible) === 1;
    this.#speed = options.firstSpeed;
    this.#ready = options.ready;
  }

  get empty(): boolean {
    return this.#works.length === 0;
  }

  /** Whether a sequence holds a text that goes on in the next turn. */
  holds(sequence: number): boolean {
    return this.#long?.sequence === sequence;
  }

  add(job: EmbedJob): void {
    if (job.texts.some((text) => areLong([{ text }]))) void this.#addLong(job);
    else this.#works.push(new Work(job, this.#width));
  }

  /** Takes its place in the line when its long texts are cut. */
  async #addLong(job: EmbedJob): Promise<void> {
    this.#coming.add(job.id);
    const canceled = () => !this.#coming.has(job.id);
    const long = await cutLong(this.#model, job, canceled).catch((error: unknown) => ({ error }));
    if (canceled()) return;
    this.#coming.delete(job.id);
    this.#works.push(new Work(job, this.#width, long));
    this.#ready();
  }

  /** Forgets a request; what it had in a sequence is given up. */
  cancel(id: number): void {
    this.#coming.delete(id);
    this.#works = this.#works.filter(({ job }) => job.id !== id);
    if (this.#long?.work.job.id !== id) return;
    this.#model.remove(this.#long.sequence, -1, -1);
    this.#long = undefined;
  }

  /**
   * Evaluates one batch.
   *
   * @param free sequences that may be used and emptied; `take` is called for each that is
   * @param othersDecode whether running answers wait for this turn
   */
  turn(
    free: readonly number[],
    othersDecode: boolean,
    take: (sequence: number) => void,
  ): EmbedResult[] {
    this.#results = [];
    for (const work of this.#works.filter(({ job }) => job.texts.length === 0)) {
      this.#finish(work);
    }
    this.#queueServed();
    const { readings, rows } = this.#fill(free, this.#budget(othersDecode), take);
    if (rows > 0) this.#evaluate(readings, rows);
    return this.#results;
  }

  /** Who came while a batch was evaluated has the next turn before those who had that one. */
  #queueServed(): void {
    const served = this.#works.filter((work) => work.served);
    this.#works = [...this.#works.filter((work) => !work.served), ...served];
    for (const work of served) work.served = false;
  }

  #budget(othersDecode: boolean): number {
    const { capacity } = this.#step;
    return this.#deterministic
      ? capacity
      : Math.min(capacity, promptChunk(this.#speed, othersDecode));
  }

  #finish({ job: { id }, vectors, promptTokens, cutTokens }: Work): void {
    this.cancel(id);
    this.#results.push({ id, vectors, promptTokens, cutTokens });
  }

  #fail({ job: { id } }: Work, error: unknown): void {
    this.cancel(id);
    this.#results.push({ id, error });
  }

  /** Puts texts into the step's rows: the long one first, then one of each request in turn. */
  #fill(
    free: readonly number[],
    budget: number,
    take: (sequence: number) => void,
  ): { readings: Reading[]; rows: number } {
    const readings = this.#long === undefined ? [] : [this.#long];
    let rows = this.#long === undefined ? 0 : this.#place(this.#long, 0, budget);
    // A text that is read in pieces needs cells for all of them; others have what is left.
    let cells = this.#cells - (this.#long?.tokens.length ?? 0);
    for (const sequence of free) {
      if (rows >= budget || cells <= 0 || (this.#deterministic && rows > 0)) break;
      if (this.holds(sequence)) continue;
      const room = rows === 0 ? this.#step.capacity : Math.min(budget - rows, cells);
      const next = this.#nextText(room);
      if (next === undefined) break;
      take(sequence);
      this.#model.remove(sequence, -1, -1);
      const reading = { ...next, sequence, evaluated: 0, lastRow: -1 };
      // The first may be longer than the budget; where its pieces would do, it is read in pieces.
      rows = this.#place(reading, rows, this.#whole ? this.#step.capacity : budget);
      cells -= next.tokens.length;
      readings.push(reading);
      if (reading.lastRow < 0) this.#long = reading;
    }
    return { readings, rows };
  }

  /** The next text of the request whose turn it is; undefined when none is left or it has no room. */
  #nextText(room: number): Pick<Reading, "work" | "index" | "tokens"> | undefined {
    for (;;) {
      const work = this.#works.find(({ job, next }) => next < job.texts.length);
      if (work === undefined) return undefined;
      const tokens = this.#look(work);
      if (tokens === undefined) continue; // that request has failed
      if (tokens.length > room && room < this.#step.capacity) return undefined;
      work.ahead = undefined;
      work.served = true;
      const index = work.next++;
      // To the end of the line: requests take turns.
      this.#works.push(...this.#works.splice(this.#works.indexOf(work), 1));
      return { work, index, tokens };
    }
  }

  #look(work: Work): ArrayLike<number> | undefined {
    try {
      const tokens = work.look(this.#tokenizer);
      if (!this.#whole || tokens.length <= this.#step.capacity) return tokens;
      throw new EngineError(
        `a text has ${tokens.length} tokens, the model reads at most ${this.#step.capacity} at once`,
      );
    } catch (error) {
      this.#fail(work, error);
      return undefined;
    }
  }

  /** Writes the rows of a text, as far as there is room. Returns the rows in use. */
  #place(reading: Reading, from: number, room: number): number {
    const { tokens, positions, sequences, wanted } = this.#step;
    const end = from + Math.min(reading.tokens.length - reading.evaluated, room - from);
    for (let row = from; row < end; row++) {
      tokens[row] = reading.tokens[reading.evaluated] ?? 0;
      positions[row] = reading.evaluated++;
      sequences[row] = reading.sequence;
      wanted[row] = 1;
    }
    if (reading.evaluated === reading.tokens.length) reading.lastRow = end - 1;
    return end;
  }

  #evaluate(readings: readonly Reading[], rows: number): void {
    const since = performance.now();
    // Answers need logits; models that only make embeddings never leave this mode.
    if (!this.#pooled) this.#model.setEmbeddings(true);
    try {
      const result = this.#model.decode(this.#step, rows, this.#mayInterrupt(readings, rows));
      if (result === status.interrupted) {
        for (const reading of readings) this.#giveBack(reading);
        return;
      }
      if (result !== status.ok) throw new EngineError(this.#model.lastError());
      const seconds = (performance.now() - since) / 1000;
      if (rows > 7 && seconds > 0) this.#speed += 0.5 * (rows / seconds - this.#speed);
      for (const reading of readings) this.#collect(reading);
    } catch (error) {
      for (const work of new Set(readings.map((reading) => reading.work))) {
        if (this.#works.includes(work)) this.#fail(work, error);
      }
    } finally {
      if (!this.#pooled) this.#model.setEmbeddings(false);
      for (const { sequence } of readings) {
        if (!this.holds(sequence)) this.#model.remove(sequence, -1, -1);
      }
    }
  }

  /** Whether a step may end early: that of a text which must be read in one piece, and is long. */
  #mayInterrupt([first]: readonly Reading[], rows: number): boolean {
    const long = rows > promptChunk(this.#speed, false);
    return this.#interruptible && this.#whole && long && first?.work.again === false;
  }

  /** A text whose step ended early is read from its beginning, when its request is still there. */
  #giveBack({ work, index, tokens }: Reading): void {
    work.next = index;
    work.ahead = tokens;
    work.again = true;
  }

  /** Takes the vector of a text that was read to its end. */
  #collect(reading: Reading): void {
    const { work, index, tokens, sequence, lastRow } = reading;
    if (lastRow < 0) return;
    if (this.#long === reading) this.#long = undefined;
    if (!this.#works.includes(work)) return; // its request failed meanwhile
    const { normalize } = work.job.options;
    const vector = this.#model.embedding(sequence, lastRow, normalize, this.#width);
    work.vectors.set(vector, index * this.#width);
    work.promptTokens += tokens.length;
    work.finished++;
    work.again = false;
    if (work.finished === work.job.texts.length) this.#finish(work);
  }
}

/** What the parent hears of a result. */
export function embedReport(result: EmbedResult): Report {
  if ("error" in result) return { type: "error", id: result.id, error: toFailure(result.error) };
  const { id, vectors, promptTokens, cutTokens } = result;
  const bytes = new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength);
  return { type: "vectors", id, bytes, promptTokens, cutTokens };
}
