/** Constraints of the engine in llguidance/: compiling, judging texts. Freed by whoever holds them. */
import type { Pointer } from "bun:ffi";
import { EngineError } from "../src/errors.ts";
import { Handle } from "./handle.ts";
import type { HutchLibrary } from "./library.ts";

type Symbols = HutchLibrary["symbols"];

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A text as bytes of which a pointer can be taken, also when there are none. */
function bytesOf(text: string): { bytes: Uint8Array; length: number } {
  const bytes = encoder.encode(text);
  return { bytes: bytes.length === 0 ? new Uint8Array(1) : bytes, length: bytes.length };
}

/** `{level, reason?}` as hutch.h says. */
export interface NativeDescription {
  readonly level: "enforced" | "validated" | "refused";
  readonly reason?: NativeRule;
}

export interface NativeRule {
  readonly pointer?: string;
  readonly keyword: string;
  readonly reason: string;
}

/** JSON that a native function writes whole when the buffer suffices. */
function readJson(write: (buffer: Uint8Array) => number): unknown {
  let buffer = new Uint8Array(2048);
  let length = write(buffer);
  if (length > buffer.length) {
    buffer = new Uint8Array(length);
    length = write(buffer);
  }
  return JSON.parse(decoder.decode(buffer.subarray(0, length)));
}

/** A constraint that is being compiled on a thread of its own. */
export class NativeCompilation {
  readonly #handle: Handle;
  readonly #lib: Symbols;
  readonly #error: () => string;

  constructor(lib: Symbols, handle: Pointer, error: () => string) {
    this.#lib = lib;
    this.#handle = new Handle(handle, "compilation");
    this.#error = error;
  }

  /** The constraint, undefined while it is not ready; once. @throws EngineError when the compiler failed */
  take(): NativeConstraint | undefined {
    const done = this.#lib.hutch_compile_done(this.#handle.pointer);
    if (done < 0) throw new EngineError(`compile a constraint: ${this.#error()}`);
    if (done === 0) return undefined;
    const handle = this.#lib.hutch_compile_take(this.#handle.pointer);
    if (handle === null) throw new EngineError(`compile a constraint: ${this.#error()}`);
    return new NativeConstraint(this.#lib, Number(handle) as Pointer, this.#error);
  }

  /** Also before it is done: what the thread makes is then thrown away. */
  free(): void {
    this.#handle.free((pointer) => this.#lib.hutch_compile_free(pointer));
  }
}

/** A compiled constraint. */
export class NativeConstraint {
  readonly #handle: Handle;
  readonly #lib: Symbols;
  readonly #error: () => string;

  constructor(lib: Symbols, handle: Pointer, error: () => string) {
    this.#lib = lib;
    this.#handle = new Handle(handle, "constraint");
    this.#error = error;
  }

  get address(): Pointer {
    return this.#handle.pointer;
  }

  describe(): NativeDescription {
    return readJson((buffer) =>
      this.#lib.hutch_constraint_describe(this.address, buffer, buffer.length),
    ) as NativeDescription;
  }

  /** Whether the grammar takes a text whole, token by token and at the end. @throws EngineError */
  accepts(text: string): boolean {
    const { bytes, length } = bytesOf(text);
    const result = this.#lib.hutch_constraint_accepts(this.address, bytes, length);
    if (result < 0) throw new EngineError(`check a text: ${this.#error()}`);
    return result === 1;
  }

  /** The rule that a text breaks; undefined when it fits. @throws EngineError */
  validate(text: string): NativeRule | undefined {
    const { bytes, length } = bytesOf(text);
    const check = (buffer: Uint8Array) => {
      const size = this.#lib.hutch_constraint_validate(
        this.address,
        bytes,
        length,
        buffer,
        buffer.length,
      );
      if (size < 0) throw new EngineError(`validate a text: ${this.#error()}`);
      return size;
    };
    return check(new Uint8Array(1)) === 0 ? undefined : (readJson(check) as NativeRule);
  }

  free(): void {
    this.#handle.free((pointer) => this.#lib.hutch_constraint_free(pointer));
  }
}
