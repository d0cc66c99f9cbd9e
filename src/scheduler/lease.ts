/**
 * A request's hold on a model. While it waits for its turn the model may go (its process died, say):
 * then it is loaded again and the request waits there, because nothing of it was started.
 */
import type { LoadedModel } from "../engine/engine.ts";
import { NotBegunError } from "../errors.ts";
import type { RunnerLease } from "./runner.ts";
import type { Lease } from "./scheduler.ts";
import type { TurnTerms, Work } from "./turns.ts";

/** A model that dies again and again under those who wait is not loaded for ever. */
const mostRenewals = 3;

export class HeldLease implements Lease {
  #held: RunnerLease;
  #released = false;

  constructor(
    held: RunnerLease,
    readonly loadNs: number,
    readonly terms: TurnTerms,
    /** Loads the model again. */
    readonly renew: (signal: AbortSignal) => Promise<RunnerLease>,
  ) {
    this.#held = held;
  }

  get model(): LoadedModel {
    return this.#held.model;
  }

  get name(): string {
    return this.#held.name;
  }

  get contextLength(): number {
    return this.#held.contextLength;
  }

  async turn(work: Work, signal: AbortSignal): Promise<Disposable> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#held.turns[work].take(this.terms, signal);
      } catch (error) {
        if (!(error instanceof NotBegunError) || tries === mostRenewals) throw error;
      }
      const next = await this.renew(signal);
      this.#held[Symbol.dispose]();
      this.#held = next;
      if (this.#released) next[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    this.#released = true;
    this.#held[Symbol.dispose]();
  }
}
