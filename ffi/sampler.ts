/** A sampler of one request, and the constraint that it keeps to. */
import { type Pointer, ptr } from "bun:ffi";
import { EngineError } from "../src/errors.ts";
import type { NativeConstraint } from "./constraint.ts";
import { Handle } from "./handle.ts";
import type { HutchLibrary } from "./library.ts";

const decoder = new TextDecoder();

/** Most tokens that one `forced` brings; the rest comes with the next. */
const mostForced = 64;

export class NativeSampler {
  readonly #handle: Handle;
  readonly #lib: HutchLibrary["symbols"];
  readonly #error: () => string;

  constructor(lib: HutchLibrary["symbols"], handle: Pointer, error: () => string) {
    this.#lib = lib;
    this.#handle = new Handle(handle, "sampler");
    this.#error = error;
  }

  get #sampler(): Pointer {
    return this.#handle.pointer;
  }

  get address(): number {
    return this.#sampler;
  }

  /** Tells it tokens that came before, for penalties. */
  accept(tokens: Int32Array): void {
    if (tokens.length === 0 || this.#handle.freed) return;
    this.#lib.hutch_sampler_accept(this.#handle.pointer, ptr(tokens), tokens.length);
  }

  /**
   * From now on only what the constraint allows is sampled, from its beginning; undefined lifts it.
   * @throws EngineError when the constraint was refused
   */
  constrain(constraint: NativeConstraint | undefined): void {
    const handle = constraint?.address ?? null;
    if (this.#lib.hutch_sampler_constrain(this.#sampler, handle) < 0) {
      throw new EngineError(`constrain a sampler: ${this.#error()}`);
    }
  }

  /** Tells the constraint tokens that came without it; false when they do not fit. */
  feed(tokens: Int32Array): boolean {
    if (tokens.length === 0) return true;
    return this.#lib.hutch_sampler_feed(this.#sampler, ptr(tokens), tokens.length) === 1;
  }

  /** Tokens that must come next, taken by the constraint already. @throws EngineError */
  forced(most = mostForced): Int32Array {
    const tokens = new Int32Array(Math.max(0, Math.min(most, mostForced)));
    if (tokens.length === 0) return tokens;
    const count = this.#lib.hutch_sampler_forced(this.#sampler, ptr(tokens), tokens.length);
    if (count < 0) throw new EngineError(`constraint: ${this.#error()}`);
    return tokens.subarray(0, count);
  }

  /** Whether the constraint allows nothing but the end. */
  get over(): boolean {
    return this.#lib.hutch_sampler_over(this.#sampler) === 1;
  }

  /** Whether what came keeps to the constraint as a whole; more may follow. */
  get whole(): boolean {
    return this.#lib.hutch_sampler_over(this.#sampler) !== 0;
  }

  /** Why sampling under the constraint failed. */
  get failure(): string {
    const buffer = new Uint8Array(1024);
    const length = this.#lib.hutch_sampler_failure(this.#sampler, buffer, buffer.length);
    return decoder.decode(buffer.subarray(0, length));
  }

  free(): void {
    this.#handle.free((pointer) => this.#lib.hutch_sampler_free(pointer));
  }
}
