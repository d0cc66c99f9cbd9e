/**
 * An image or sound in native memory (hutch.h, "images and sound"). Reading and encoding run in a
 * native thread: start, then ask `ready` until it says so.
 */
import type { Pointer } from "bun:ffi";
import { InvalidRequestError } from "../src/errors.ts";
import { Handle } from "./handle.ts";
import type { HutchLibrary } from "./library.ts";
import { status, statusError } from "./status.ts";

/** One piece of a media, in the order of evaluation. */
export interface MediaChunk {
  readonly index: number;
  /** Cells of the KV cache that it takes. */
  readonly rows: number;
  /** Positions that it takes; fewer than rows with M-RoPE. */
  readonly positions: number;
  /** Tokens of a mark around an image; undefined for rows of the projector. */
  readonly tokens: Int32Array | undefined;
  /** All rows must be decoded in one call. */
  readonly atOnce: boolean;
}

export class NativeMedia {
  readonly #handle: Handle;
  readonly #lib: HutchLibrary["symbols"];
  readonly #error: () => string;

  constructor(lib: HutchLibrary["symbols"], handle: Pointer, error: () => string) {
    this.#lib = lib;
    this.#handle = new Handle(handle, "image");
    this.#error = error;
  }

  get #media(): Pointer {
    return this.#handle.pointer;
  }

  /**
   * Whether its thread has finished.
   * @throws InvalidRequestError when the bytes cannot be read, EngineError when the projector failed
   */
  ready(): boolean {
    const result = this.#lib.hutch_media_poll(this.#media);
    if (result === status.invalid) throw new InvalidRequestError(this.#error());
    if (result < 0) throw statusError(result, this.#error());
    return result === 1;
  }

  /** Only when ready. */
  chunks(): MediaChunk[] {
    const count = this.#lib.hutch_media_chunks(this.#media);
    return Array.from({ length: count }, (_, index) => this.#chunk(index));
  }

  #chunk(index: number): MediaChunk {
    const facts = new Int32Array(4);
    const result = this.#lib.hutch_media_chunk(this.#media, index, facts);
    if (result < 0) throw statusError(result, this.#error());
    const [rows = 0, positions = 0, text = 0, atOnce = 0] = facts;
    let tokens: Int32Array | undefined;
    if (text === 1) {
      tokens = new Int32Array(rows);
      this.#lib.hutch_media_tokens(this.#media, index, tokens);
    }
    return { index, rows, positions, tokens, atOnce: atOnce === 1 };
  }

  /** Starts the projector on a chunk; one chunk of a model at a time. */
  encode(index: number): void {
    const result = this.#lib.hutch_media_encode(this.#media, index);
    if (result < 0) throw statusError(result, this.#error());
  }

  /** Evaluates rows of the chunk encoded last. Returns a `status`; its text is `lastError`. */
  decode(from: number, count: number, sequence: number, position: number, wanted: boolean): number {
    return this.#lib.hutch_media_decode(this.#media, from, count, sequence, position, wanted);
  }

  lastError(): string {
    return this.#error();
  }

  /** Stops its thread and frees it. */
  free(): void {
    this.#handle.free((pointer) => this.#lib.hutch_media_free(pointer));
  }
}
