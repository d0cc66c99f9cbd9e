/** Guesses for one request at the tokens to come, by n-grams or by the draft model. */
import { type Pointer, ptr } from "bun:ffi";
import { Handle } from "./handle.ts";
import type { HutchLibrary } from "./library.ts";
import { statusError } from "./status.ts";

export class NativeDrafter {
  readonly #handle: Handle;
  readonly #lib: HutchLibrary["symbols"];
  readonly #error: () => string;

  constructor(lib: HutchLibrary["symbols"], handle: Pointer, error: () => string) {
    this.#lib = lib;
    this.#handle = new Handle(handle, "drafter");
    this.#error = error;
  }

  /** Tells it tokens that came, of prompt and answer alike. */
  add(tokens: Int32Array): void {
    if (tokens.length === 0) return;
    this.#check(this.#lib.hutch_drafter_add(this.#handle.pointer, ptr(tokens), tokens.length));
  }

  /** Lets it read at most so many tokens of what came. Returns how many are left. @throws EngineError */
  read(most: number): number {
    return this.#check(this.#lib.hutch_drafter_read(this.#handle.pointer, most));
  }

  /** Tokens that may follow, at most so many; none while something is left to read. @throws EngineError */
  guess(most: number): Int32Array {
    const tokens = new Int32Array(Math.max(1, most));
    const count = this.#lib.hutch_drafter_guess(this.#handle.pointer, ptr(tokens), most);
    return tokens.subarray(0, this.#check(count));
  }

  free(): void {
    this.#handle.free((pointer) => this.#lib.hutch_drafter_free(pointer));
  }

  #check(result: number): number {
    if (result < 0) throw statusError(result, `draft: ${this.#error()}`);
    return result;
  }
}
