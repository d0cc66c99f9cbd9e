/**
 * Checks of constraints for one model, in a child that has its vocabulary only. What hangs or crashes
 * costs that child; the next check starts a fresh one.
 */
import { EngineCrashedError, EngineError } from "../errors.ts";
import { unlessAborted } from "../unless-aborted.ts";
import type { Constraint, ConstraintReport, LoadedModel, LoadSpec } from "./engine.ts";

/** Milliseconds for one check, starting the child not counted. The child itself gives up earlier. */
const checkLimitMs = 20_000;

/** A second try, for a check that ended only because another one's fault ended the child. */
const tries = 2;

/** How a model is loaded for checks: what is about weights and context does not matter. */
export function vocabularySpec(path: string): LoadSpec {
  return {
    path,
    adapters: [],
    projectors: [],
    contextLength: 4,
    slots: 1,
    batchSize: 1,
    threads: 1,
    gpuLayers: 0,
    kvCacheType: "f16",
    flashAttention: "auto",
    vocabularyOnly: true,
  };
}

export class Checker implements AsyncDisposable {
  readonly #start: () => Promise<LoadedModel>;
  readonly #limitMs: number;
  #child: Promise<LoadedModel> | undefined;

  /** @param start loads the vocabulary in a fresh child */
  constructor(start: () => Promise<LoadedModel>, limitMs = checkLimitMs) {
    this.#start = start;
    this.#limitMs = limitMs;
  }

  /** @throws EngineError when a text cannot be judged, AbortError */
  async check(
    constraint: Constraint,
    texts: readonly string[],
    signal: AbortSignal,
  ): Promise<ConstraintReport> {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      this.#child ??= this.#start();
      const starting = this.#child;
      starting.catch(() => this.#drop(starting));
      const child = await unlessAborted(starting, signal);
      const late = AbortSignal.timeout(this.#limitMs);
      try {
        return await child.check(constraint, texts, AbortSignal.any([signal, late]));
      } catch (error) {
        signal.throwIfAborted();
        if (!late.aborted && !(error instanceof EngineCrashedError)) throw error;
        this.#drop(starting);
        await child[Symbol.asyncDispose]();
        if (attempt < tries && !late.aborted) continue;
        const why = late.aborted
          ? `checking it takes more than ${this.#limitMs / 1000} s`
          : "the constraint engine crashed on it";
        if (texts.length > 0) throw new EngineError(`check a text: ${why}`);
        const reason = { keyword: "", reason: why };
        return { level: "refused", reason, compileMs: 0, verdicts: [] };
      }
    }
  }

  #drop(child: Promise<LoadedModel>): void {
    if (this.#child === child) this.#child = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = await this.#child?.catch(() => undefined);
    await child?.[Symbol.asyncDispose]();
  }
}
