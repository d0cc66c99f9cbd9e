/** The address of a native object, guarded against use after it was freed. */
import type { Pointer } from "bun:ffi";
import { EngineError } from "../src/errors.ts";

export class Handle {
  #pointer: Pointer | undefined;
  readonly #what: string;

  /** @param what what it is, for the error of a use after the end */
  constructor(pointer: Pointer, what: string) {
    this.#pointer = pointer;
    this.#what = what;
  }

  get freed(): boolean {
    return this.#pointer === undefined;
  }

  /** @throws EngineError when it was freed */
  get pointer(): Pointer {
    if (this.#pointer === undefined) throw new EngineError(`the ${this.#what} was freed`);
    return this.#pointer;
  }

  /** Hands the address to what frees it, once. */
  free(release: (pointer: Pointer) => void): void {
    if (this.#pointer !== undefined) release(this.#pointer);
    this.#pointer = undefined;
  }
}
