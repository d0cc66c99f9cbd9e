/** Texts that are cut into tokens on a thread beside the steps. Freed by whoever started it. */
import type { Pointer } from "bun:ffi";
import { EngineError } from "../src/errors.ts";
import { Handle } from "./handle.ts";
import type { HutchLibrary } from "./library.ts";

type Symbols = HutchLibrary["symbols"];

export interface TextToCut {
  readonly text: string;
  /** Special tokens written in it count. */
  readonly parseSpecial: boolean;
}

export class NativeTokenizing {
  readonly #handle: Handle;
  readonly #lib: Symbols;
  readonly #error: () => string;
  readonly #texts: number;

  constructor(lib: Symbols, handle: Pointer, error: () => string, texts: number) {
    this.#lib = lib;
    this.#handle = new Handle(handle, "tokenizing");
    this.#error = error;
    this.#texts = texts;
  }

  /** Tokens of each text, undefined while the thread is at it. @throws EngineError when it failed */
  take(): Int32Array[] | undefined {
    const job = this.#handle.pointer;
    if (this.#check(this.#lib.hutch_tokenize_done(job)) === 0) return undefined;
    // Memory of length 0 has no address.
    const counts = new Int32Array(Math.max(1, this.#texts));
    this.#check(this.#lib.hutch_tokenize_counts(job, counts));
    const sum = counts.reduce((all, count) => all + count, 0);
    const tokens = new Int32Array(Math.max(1, sum));
    this.#check(this.#lib.hutch_tokenize_take(job, tokens, tokens.length));
    let at = 0;
    return Array.from(counts.subarray(0, this.#texts), (count) => {
      at += count;
      return tokens.subarray(at - count, at);
    });
  }

  /** Also before it is done: the thread then ends with the text that it is at. */
  free(): void {
    this.#handle.free((pointer) => this.#lib.hutch_tokenize_free(pointer));
  }

  #check(result: number): number {
    if (result < 0) throw new EngineError(`tokenize: ${this.#error()}`);
    return result;
  }
}
