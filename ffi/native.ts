/**
 * Over 400 lines because it is one table: a method for each native function, in the order of hutch.h.
 * With `sampler.ts`, `constraint.ts`, `tokenizing.ts` and `drafter.ts` the only caller of native symbols. Turns status into errors,
 * encodes texts, guards against use after `free`. Everything here blocks its thread: only a runner or worker process may call it.
 */

import { type Pointer, ptr } from "bun:ffi";
import { EngineError, ModelLoadError, OutOfMemoryError } from "../src/errors.ts";
import { NativeCompilation } from "./constraint.ts";
import { NativeDrafter } from "./drafter.ts";
import { Handle } from "./handle.ts";
import { type HutchLibrary, openLibrary } from "./library.ts";
import { NativeMedia } from "./native-media.ts";
import { NativeSampler } from "./sampler.ts";
import { status, statusError } from "./status.ts";
import { NativeTokenizing, type TextToCut } from "./tokenizing.ts";

export type { NativeCompilation, NativeConstraint } from "./constraint.ts";
export type { NativeDrafter } from "./drafter.ts";
export type { NativeSampler } from "./sampler.ts";
export type { NativeTokenizing, TextToCut } from "./tokenizing.ts";

export { status };

/** `hutch_fact` in hutch.h. */
export const facts = {
  trainedContext: 0,
  context: 1,
  slots: 2,
  batch: 3,
  vocabulary: 4,
  embedding: 5,
  addsBos: 6,
  canShift: 7,
  canTrim: 8,
  pooled: 9,
  generates: 10,
  memoryTotal: 11,
  memoryGpu: 12,
  unified: 13,
  bos: 14,
  causal: 15,
  sequences: 16,
  whole: 17,
  images: 18,
  sound: 19,
  threads: 20,
  drafts: 21,
  interruptible: 22,
  madeFor: 23,
  gpuShares: 24,
} as const;

/** How a rendered conversation ends: `ending` of `hutch_render`. */
const promptEndings = { plain: 0, opened: 1, continued: 2 } as const;
export type PromptEnding = keyof typeof promptEndings;

/** Bits of `llama_token_attr` in llama.h. */
export const tokenAttributes = {
  unknown: 1 << 0,
  control: 1 << 3,
  userDefined: 1 << 4,
  stripsLeft: 1 << 7,
  stripsRight: 1 << 8,
} as const;

export interface NativeLoadOptions {
  readonly numbers: Readonly<Record<string, number>>;
  readonly cacheType: string;
  readonly adapters: readonly { readonly path: string; readonly scale: number }[];
  readonly projector: string | undefined;
  /** Draft model; whether it can be used is told by `draftProblem`. */
  readonly draft?: string | undefined;
}

export interface NativeSampling {
  readonly seed: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly typicalP: number;
  readonly repeatLastN: number;
  readonly repeatPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly mirostat: number;
  readonly mirostatTau: number;
  readonly mirostatEta: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Addresses fit a number on every platform; bun:ffi types them as number or bigint. */
function pointer(address: Pointer | bigint): Pointer {
  return Number(address) as Pointer;
}

/** A zero-terminated copy for C. A text with a zero inside would be cut silently: refused. */
function cString(text: string): Uint8Array {
  if (text.includes("\0")) throw new EngineError("a text for the engine contains a zero character");
  return encoder.encode(`${text}\0`);
}

/** The opened shim with its backends. One per process. */
export class Native {
  readonly #lib: HutchLibrary["symbols"];

  /**
   * @param folder folder with the libraries
   * @param gpus whether this process may use GPUs; only one that runs a model has a use for them
   * @throws EngineError when the library or every backend fails to load
   */
  constructor(folder: string, gpus = false) {
    this.#lib = openLibrary(folder).symbols;
    this.#check(this.#lib.hutch_init(cString(folder), gpus), "start the engine");
  }

  /** Whether a backend sees a GPU. */
  hasGpu(): boolean {
    return this.#lib.hutch_has_gpu() === 1;
  }

  /** Loads one backend; false when it cannot be, and the log says why. */
  loadBackend(path: string): boolean {
    return this.#lib.hutch_backend_load(cString(path)) === status.ok;
  }

  /** @throws EngineError when the parent has ended already */
  dieWithParent(parent: number): void {
    this.#check(this.#lib.hutch_die_with_parent(parent), "tie this process to its parent");
  }

  /**
   * From now on SIGUSR2 interrupts steps that may be, and does nothing else. False where there are no signals.
   *
   * @param graceMs steps that end so soon after it are let be
   */
  listenToInterrupts(graceMs: number): boolean {
    return this.#lib.hutch_interrupt_init(graceMs) === status.ok;
  }

  physicalCores(): number {
    return this.#lib.hutch_physical_cores();
  }

  echo(value: bigint): bigint {
    return BigInt(this.#lib.hutch_echo(value));
  }

  /** llama.cpp's log since the last call. */
  drainLog(): string {
    const buffer = new Uint8Array(64 * 1024);
    return decoder.decode(buffer.subarray(0, this.#lib.hutch_drain_log(buffer, buffer.length)));
  }

  /** @throws ModelLoadError, OutOfMemoryError */
  load(path: string, options: NativeLoadOptions): NativeModel {
    const params = this.#lib.hutch_params_init();
    if (params === null) throw new OutOfMemoryError("load the model: out of memory");
    try {
      for (const [key, value] of Object.entries(options.numbers)) {
        this.#check(this.#lib.hutch_params_set(params, cString(key), value), "load the model");
      }
      const type = this.#lib.hutch_params_set_cache_type(params, cString(options.cacheType));
      this.#check(type, "load the model");
      for (const { path: file, scale } of options.adapters) {
        const added = this.#lib.hutch_params_add_adapter(params, cString(file), scale);
        this.#check(added, "load the adapter");
      }
      if (options.projector !== undefined) {
        const set = this.#lib.hutch_params_set_projector(params, cString(options.projector));
        this.#check(set, "load the projector");
      }
      if (options.draft !== undefined) {
        const set = this.#lib.hutch_params_set_draft(params, cString(options.draft));
        this.#check(set, "load the draft model");
      }
      const model = this.#lib.hutch_model_load(cString(path), params);
      if (model === null) throw new ModelLoadError(this.lastError());
      return new NativeModel(this.#lib, pointer(model), () => this.lastError());
    } finally {
      this.#lib.hutch_params_free(params);
    }
  }

  /**
   * Begins to quantise a file, in threads of its own.
   * @param overrides patterns of tensor names with their types, `a=q8_0;b=f16`
   * @throws EngineError for types that do not exist
   */
  startQuantizing(job: {
    readonly input: string;
    readonly output: string;
    readonly fileType: number;
    readonly overrides: string;
    readonly threads: number;
  }): void {
    const { input, output, fileType, overrides, threads } = job;
    const started = this.#lib.hutch_quantize_start(
      cString(input),
      cString(output),
      fileType,
      cString(overrides),
      threads,
    );
    this.#check(started, "quantize");
  }

  /** @throws EngineError when the job has failed */
  quantizingProgress(): {
    readonly running: boolean;
    readonly done: number;
    readonly total: number;
  } {
    const done = new Int32Array(1);
    const total = new Int32Array(1);
    const running = this.#lib.hutch_quantize_progress(ptr(done), ptr(total));
    this.#check(running, "quantize");
    return { running: running === 1, done: done[0] ?? 0, total: total[0] ?? 0 };
  }

  lastError(): string {
    return readLastError(this.#lib);
  }

  #check(result: number, action: string): void {
    if (result < 0) throw statusError(result, `${action}: ${this.lastError()}`);
  }
}

function readLastError(lib: HutchLibrary["symbols"]): string {
  const buffer = new Uint8Array(4096);
  const length = lib.hutch_last_error(buffer, buffer.length);
  return decoder.decode(buffer.subarray(0, Math.min(length, buffer.length - 1)));
}

/** Buffers for one step; the runner fills them and passes how many rows count. */
export class StepBuffers {
  readonly tokens: Int32Array;
  readonly positions: Int32Array;
  readonly sequences: Int32Array;
  readonly wanted: Uint8Array;
  constructor(readonly capacity: number) {
    this.tokens = new Int32Array(capacity);
    this.positions = new Int32Array(capacity);
    this.sequences = new Int32Array(capacity);
    this.wanted = new Uint8Array(capacity);
  }
}

/** What was sampled for the rows of a step. */
export interface SampledRow {
  /** -1: the row had no finite logits. -2: its constraint failed (`NativeSampler.failure`). */
  readonly token: number;
  readonly ends: boolean;
  /** A copy: may be kept. */
  readonly bytes: Uint8Array;
}

const pieceStride = 64;

/** A loaded model with its context. */
export class NativeModel {
  readonly #handle: Handle;
  #attributes: Int32Array | undefined;
  readonly #lib: HutchLibrary["symbols"];
  readonly #error: () => string;
  #rows = new Int32Array(64);
  #samplers = new BigInt64Array(64);
  #sampled = new Int32Array(64);
  #ends = new Uint8Array(64);
  #lengths = new Int32Array(64);
  #pieces = new Uint8Array(64 * pieceStride);

  constructor(lib: HutchLibrary["symbols"], handle: Pointer, error: () => string) {
    this.#lib = lib;
    this.#handle = new Handle(handle, "model");
    this.#error = error;
  }

  get #model(): Pointer {
    return this.#handle.pointer;
  }

  free(): void {
    this.#handle.free((pointer) => this.#lib.hutch_model_free(pointer));
  }

  fact(fact: number): number {
    return Number(this.#lib.hutch_model_fact(this.#model, fact));
  }

  /** The Jinja chat template, undefined when the GGUF has none. */
  template(): string | undefined {
    const length = this.#lib.hutch_model_template(this.#model, null, 0);
    if (length < 0) return undefined;
    const buffer = new Uint8Array(length);
    if (length > 0) this.#lib.hutch_model_template(this.#model, buffer, length);
    return decoder.decode(buffer);
  }

  /** Names of the GPUs that the model uses. */
  gpus(): string[] {
    const buffer = new Uint8Array(4096);
    const length = this.#lib.hutch_model_gpus(this.#model, buffer, buffer.length);
    return length <= 0 ? [] : decoder.decode(buffer.subarray(0, length)).split("\n");
  }

  /** Why the draft model is not used, undefined when it is or there is none. */
  draftProblem(): string | undefined {
    const buffer = new Uint8Array(1024);
    const length = this.#lib.hutch_model_draft_problem(this.#model, buffer, buffer.length);
    return length === 0 ? undefined : decoder.decode(buffer.subarray(0, length));
  }

  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): Int32Array {
    const bytes = encoder.encode(text);
    // Never more tokens than bytes, but for BOS, EOS and a blank put in front.
    let tokens = new Int32Array(Math.min(bytes.length, 1 << 16) + 8);
    const call = () =>
      this.#lib.hutch_tokenize(
        this.#model,
        bytes.length === 0 ? cString("") : bytes,
        bytes.length,
        addSpecial,
        parseSpecial,
        tokens,
        tokens.length,
      );
    let count = call();
    if (count < 0 && count !== -0x8000_0000) {
      tokens = new Int32Array(-count);
      count = call();
    }
    if (count < 0) throw new EngineError(`tokenize: ${this.#error()}`);
    return tokens.subarray(0, count);
  }

  /** Starts cutting texts into tokens on a thread beside the steps. @throws EngineError */
  tokenizeBeside(texts: readonly TextToCut[], addSpecial: boolean): NativeTokenizing {
    const parts = texts.map(({ text }) => encoder.encode(text));
    const lengths = Int32Array.from(parts, ({ length }) => length);
    const [only] = parts;
    const bytes = parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
    const handle = this.#lib.hutch_tokenize_start(
      this.#model,
      bytes.length === 0 ? cString("") : bytes,
      texts.length,
      lengths,
      Uint8Array.from(texts, ({ parseSpecial }) => (parseSpecial ? 1 : 0)),
      addSpecial,
    );
    if (handle === null) throw new EngineError(`tokenize: ${this.#error()}`);
    return new NativeTokenizing(this.#lib, pointer(handle), this.#error, texts.length);
  }

  /** Bytes of tokens, special ones written out. */
  detokenize(tokens: Int32Array): string {
    if (tokens.length === 0) return "";
    let buffer = new Uint8Array(tokens.length * 8 + 16);
    const call = () =>
      this.#lib.hutch_detokenize(this.#model, tokens, tokens.length, buffer, buffer.length);
    let length = call();
    if (length < 0 && length !== -0x8000_0000) {
      buffer = new Uint8Array(-length);
      length = call();
    }
    if (length < 0) throw new EngineError(`detokenize: ${this.#error()}`);
    return decoder.decode(buffer.subarray(0, length));
  }

  /** Bytes of one token; control tokens are empty unless `special`. */
  piece(token: number, special: boolean): Uint8Array {
    let buffer = new Uint8Array(pieceStride);
    let length = this.#lib.hutch_token_piece(this.#model, token, special, buffer, buffer.length);
    if (length < 0) {
      buffer = new Uint8Array(-length);
      length = this.#lib.hutch_token_piece(this.#model, token, special, buffer, buffer.length);
    }
    return buffer.slice(0, Math.max(0, length));
  }

  /** Bits of `tokenAttributes`; 0 for what is no token. Asked for all at once: there may be 256,000. */
  attributes(token: number): number {
    this.#attributes ??= this.#readAttributes();
    return this.#attributes[token] ?? 0;
  }

  #readAttributes(): Int32Array {
    const all = new Int32Array(this.fact(facts.vocabulary));
    if (all.length === 0) return all;
    const result = this.#lib.hutch_token_attributes(this.#model, all, all.length);
    if (result !== status.ok) throw statusError(result, this.#error());
    return all;
  }

  /** @throws EngineError with the template's own words */
  render(messages: string, tools: string, variables: string, ending: PromptEnding): string {
    const length = this.#lib.hutch_render(
      this.#model,
      cString(messages),
      cString(tools),
      cString(variables),
      promptEndings[ending],
    );
    if (length < 0) throw statusError(length, this.#error());
    const buffer = new Uint8Array(Math.max(1, length));
    return decoder.decode(
      buffer.subarray(0, this.#lib.hutch_rendered(this.#model, buffer, length)),
    );
  }

  /**
   * Evaluates the first `count` rows. Returns a `status`; the error's text is `lastError`.
   *
   * @param interruptible the signal may end it early; nothing has changed then
   */
  decode(step: StepBuffers, count: number, interruptible = false): number {
    return this.#lib.hutch_decode(
      this.#model,
      count,
      step.tokens,
      step.positions,
      step.sequences,
      step.wanted,
      interruptible,
    );
  }

  lastError(): string {
    return this.#error();
  }

  setEmbeddings(on: boolean): void {
    this.#lib.hutch_set_embeddings(this.#model, on);
  }

  /** @throws EngineError when there is none or it is not finite */
  embedding(sequence: number, row: number, normalize: boolean, length: number): Float32Array {
    const vector = new Float32Array(length);
    const result = this.#lib.hutch_embedding(this.#model, sequence, row, normalize, vector);
    if (result < 0) throw statusError(result, this.#error());
    return vector;
  }

  /** False when the memory cannot forget just these positions. */
  remove(sequence: number, from: number, to: number): boolean {
    return this.#lib.hutch_memory_remove(this.#model, sequence, from, to) === 1;
  }

  copySequence(source: number, target: number): void {
    this.#lib.hutch_memory_copy(this.#model, source, target);
  }

  shift(sequence: number, from: number, to: number, delta: number): void {
    const result = this.#lib.hutch_memory_shift(this.#model, sequence, from, to, delta);
    if (result < 0) throw statusError(result, this.#error());
  }

  firstPosition(sequence: number): number {
    return this.#lib.hutch_memory_first(this.#model, sequence);
  }

  /** Bytes of what a sequence holds. @throws EngineError */
  saveSequence(sequence: number): Uint8Array {
    const size = Number(this.#lib.hutch_state_size(this.#model, sequence));
    if (size < 0) throw statusError(size, this.#error());
    const bytes = new Uint8Array(size);
    const written = Number(this.#lib.hutch_state_get(this.#model, sequence, bytes, size));
    if (written <= 0) throw statusError(written || status.error, this.#error());
    return bytes.subarray(0, written);
  }

  /** False when the bytes are not of this model; the sequence is empty then. */
  restoreSequence(sequence: number, bytes: Uint8Array): boolean {
    return this.#lib.hutch_state_set(this.#model, sequence, bytes, bytes.length) === status.ok;
  }

  /** Threads of the following steps, at most those of the load. @throws EngineError */
  setThreads(count: number): void {
    const result = this.#lib.hutch_set_threads(this.#model, count);
    if (result < 0) throw statusError(result, this.#error());
  }

  /** More sequences of the same length; false when memory does not suffice: all stays as it is. */
  setSlots(slots: number): boolean {
    return this.#lib.hutch_model_set_slots(this.#model, slots) === status.ok;
  }

  /**
   * Starts compiling a constraint on a thread of its own.
   * @param kind `schema`, `lark`, `regex` or `choice`
   */
  compile(kind: string, text: string): NativeCompilation {
    const bytes = encoder.encode(text);
    const handle = this.#lib.hutch_compile_start(
      this.#model,
      cString(kind),
      bytes.length === 0 ? cString("") : bytes,
      bytes.length,
    );
    if (handle === null) throw new EngineError(`compile a constraint: ${this.#error()}`);
    return new NativeCompilation(this.#lib, pointer(handle), this.#error);
  }

  sampler(s: NativeSampling): NativeSampler {
    const handle = this.#lib.hutch_sampler_init(
      this.#model,
      s.seed,
      s.temperature,
      s.topK,
      s.topP,
      s.minP,
      s.typicalP,
      s.repeatLastN,
      s.repeatPenalty,
      s.presencePenalty,
      s.frequencyPenalty,
      s.mirostat,
      s.mirostatTau,
      s.mirostatEta,
    );
    if (handle === null) throw new EngineError(`make a sampler: ${this.#error()}`);
    return new NativeSampler(this.#lib, pointer(handle), this.#error);
  }

  /** A drafter for one request. @throws EngineError when `byModel` and there is no draft model */
  drafter(byModel: boolean): NativeDrafter {
    const handle = this.#lib.hutch_drafter_init(this.#model, byModel);
    if (handle === null) throw new EngineError(`draft: ${this.#error()}`);
    return new NativeDrafter(this.#lib, pointer(handle), this.#error);
  }

  /** Samples one token for each row of the last decode; all in one native call. */
  sample(rows: readonly { row: number; sampler: NativeSampler }[]): SampledRow[] {
    this.#fit(rows.length);
    rows.forEach(({ row, sampler }, i) => {
      this.#rows[i] = row;
      this.#samplers[i] = BigInt(sampler.address);
    });
    this.#lib.hutch_sample(
      this.#model,
      rows.length,
      this.#rows,
      this.#samplers,
      this.#sampled,
      this.#ends,
      this.#pieces,
      pieceStride,
      this.#lengths,
    );
    return rows.map((_, i) => {
      const token = this.#sampled[i] ?? -1;
      const length = this.#lengths[i] ?? 0;
      const at = i * pieceStride;
      return {
        token,
        ends: this.#ends[i] === 1,
        bytes: length < 0 ? this.piece(token, false) : this.#pieces.slice(at, at + length),
      };
    });
  }

  #fit(count: number): void {
    if (count <= this.#rows.length) return;
    this.#rows = new Int32Array(count);
    this.#samplers = new BigInt64Array(count);
    this.#sampled = new Int32Array(count);
    this.#ends = new Uint8Array(count);
    this.#lengths = new Int32Array(count);
    this.#pieces = new Uint8Array(count * pieceStride);
  }

  /** Starts to read an image or sound. @throws EngineError without a projector */
  media(bytes: Uint8Array): NativeMedia {
    const handle = this.#lib.hutch_media_init(this.#model, bytes, bytes.length);
    if (handle === null) throw statusError(status.error, this.#error());
    return new NativeMedia(this.#lib, pointer(handle), this.#error);
  }

  /** First the token itself, then the `top` likeliest, with natural logarithms. */
  logprobs(row: number, token: number, top: number): { token: number; logprob: number }[] {
    const tokens = new Int32Array(top + 1);
    const values = new Float32Array(top + 1);
    const count = this.#lib.hutch_logprobs(this.#model, row, token, top, tokens, values);
    if (count < 0) throw statusError(count, this.#error());
    return Array.from(tokens.subarray(0, count), (id, i) => ({
      token: id,
      logprob: values[i] ?? Number.NEGATIVE_INFINITY,
    }));
  }
}
