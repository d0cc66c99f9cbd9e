/**
 * Compiled constraints of a runner, kept for the next request with the same one. Compiling runs on a
 * thread of the engine; this looks now and then whether it is done, so that the runner goes on.
 */
import type { NativeConstraint, NativeModel } from "../../../ffi/native.ts";
import { EngineError } from "../../errors.ts";
import type { Constraint } from "../engine.ts";

/** Kinds as the native engine knows them. */
interface NativeSource {
  /** `answer`: a schema for writing, not for judging (hutch.h). */
  readonly kind: Constraint["kind"] | "answer";
  readonly text: string;
}

/** Most constraints kept, and most characters of their texts together. */
const mostKept = 32;
const mostCharacters = 4 * 2 ** 20;

/** Milliseconds between two looks at a compilation. */
const lookEvery = 1;

/** A compiled constraint in use; to be released once. */
export interface HeldConstraint {
  readonly native: NativeConstraint;
  /** 0 when it was there already. */
  readonly compileMs: number;
  release(): void;
}

interface Entry {
  readonly characters: number;
  readonly compiled: Promise<NativeConstraint>;
  users: number;
  kept: boolean;
}

export class ConstraintCache {
  readonly #model: NativeModel;
  readonly #limitMs: number;
  /** In order of last use. */
  readonly #entries = new Map<string, Entry>();

  /** @param limitMs longest time for compiling; the thread that is given up runs on */
  constructor(model: NativeModel, limitMs: number) {
    this.#model = model;
    this.#limitMs = limitMs;
  }

  /** @throws EngineError when it cannot be compiled; a refused one is compiled, and says so */
  async hold({ kind, text }: NativeSource): Promise<HeldConstraint> {
    const key = `${kind} ${text}`;
    const since = performance.now();
    const known = this.#entries.get(key);
    const entry = known ?? {
      characters: text.length,
      compiled: this.#compile(kind, text),
      users: 0,
      kept: true,
    };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users++;
    try {
      const native = await entry.compiled;
      this.#shrink();
      const compileMs = known === undefined ? performance.now() - since : 0;
      return { native, compileMs, release: () => this.#release(entry, native) };
    } catch (error) {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      throw error;
    }
  }

  #release(entry: Entry, native: NativeConstraint): void {
    entry.users--;
    if (entry.users === 0 && !entry.kept) native.free();
  }

  /** Forgets the longest unused ones beyond the bounds. */
  #shrink(): void {
    let characters = 0;
    for (const entry of this.#entries.values()) characters += entry.characters;
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= mostKept && characters <= mostCharacters) return;
      this.#entries.delete(key);
      characters -= entry.characters;
      entry.kept = false;
      if (entry.users === 0) void entry.compiled.then((native) => native.free());
    }
  }

  async #compile(kind: string, text: string): Promise<NativeConstraint> {
    const compilation = this.#model.compile(kind, text);
    const end = performance.now() + this.#limitMs;
    try {
      for (;;) {
        const native = compilation.take();
        if (native !== undefined) return native;
        if (performance.now() > end) {
          throw new EngineError(`compiling the constraint takes longer than ${this.#limitMs} ms`);
        }
        await Bun.sleep(lookEvery);
      }
    } finally {
      compilation.free();
    }
  }
}
