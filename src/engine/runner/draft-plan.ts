/**
 * How many guesses a step judges: pure decisions. A guess costs a row. A few rows more cost a single
 * request little (bench/README.md), and bring a token each when they are right; where many requests
 * share the steps their own rows are worth more.
 */

/** Rows of a step that guesses may fill up to, for one request and for a few together. */
const rowsAlone = 32;
const rowsTogether = 16;
/** With more requests at once nothing is guessed. */
const fewRequests = 4;

/** Guesses that a request may have judged by one step at most. */
export const mostGuesses: number = rowsAlone - 1;

/**
 * @param decoding requests that decode
 * @param drafting those of them that guess
 * @param capacity most rows of a step
 * @returns guesses for each of them
 */
export function guessesEach(decoding: number, drafting: number, capacity: number): number {
  if (drafting < 1 || decoding > fewRequests) return 0;
  const rows = Math.min(decoding === 1 ? rowsAlone : rowsTogether, capacity);
  return Math.max(0, Math.floor((rows - decoding) / drafting));
}

/** Guesses to begin with, and the fewest. */
const firstGuesses = 7;
const fewestGuesses = 3;
/** Steps without guesses at the beginning: what they cost is what guessing is compared with. */
const plainStepsFirst = 3;
/** Steps with guesses before they are judged; after a rest one that was all wrong is enough. */
const trialSteps = 2;
/** Tokens without guesses after guessing did not pay; several times as many when it does not again. */
const firstRest = 16;
const longestRest = 512;
/** Where time cannot be told, so many of the guesses must come true. */
const fairShare = 0.35;
/** Weight of the latest figure in averages. */
const weight = 0.25;

function averaged(before: number | undefined, value: number): number {
  return before === undefined ? value : before + weight * (value - before);
}

/** How far one request guesses ahead, by how its guesses came true and by what that saved. */
export class DraftPace {
  readonly #most: number;
  readonly #growth: number;
  #length: number;
  /** Tokens to go without guesses. */
  #rest = plainStepsFirst;
  #nextRest = firstRest;
  #trials = 0;
  #rested = false;
  /** Averages: seconds a token without and with guesses, share of guesses that came true. */
  #plain: number | undefined;
  #guessed: number | undefined;
  #share: number | undefined;

  /**
   * @param most guesses of a step
   * @param growth of rests: a draft model has to read what came in between, and seldom gets better
   */
  constructor(most: number, growth = 2) {
    this.#most = most;
    this.#growth = growth;
    this.#length = Math.min(most, firstGuesses);
  }

  /** Guesses for the next step; 0 = none. */
  get wish(): number {
    return this.#rest > 0 ? 0 : this.#length;
  }

  /**
   * Tells what a step brought.
   * @param guesses that it judged
   * @param right those of them that came true
   * @param seconds what step and guessing took; undefined when the step was not this request's alone
   */
  observe(guesses: number, right: number, seconds: number | undefined): void {
    if (guesses === 0) {
      if (this.#rest > 0) this.#rest--;
      if (seconds !== undefined) this.#plain = averaged(this.#plain, seconds);
      return;
    }
    this.#trials++;
    this.#share = averaged(this.#share, right / guesses);
    if (seconds !== undefined) this.#guessed = averaged(this.#guessed, seconds / (right + 1));
    this.#length =
      right === guesses
        ? Math.min(this.#most, Math.max(this.#length, 2 * guesses + 1))
        : Math.min(this.#most, Math.max(fewestGuesses, right + 2));
    if (this.#trials < trialSteps && !(this.#rested && right === 0)) return;
    if (this.#pays(right)) this.#nextRest = firstRest;
    else this.#stop();
  }

  /** @param right guesses of the last step that came true */
  #pays(right: number): boolean {
    if (right === 0 && this.#share === 0) return false;
    if (this.#plain !== undefined && this.#guessed !== undefined) {
      return this.#guessed < this.#plain;
    }
    return (this.#share ?? 0) >= fairShare;
  }

  #stop(): void {
    this.#rest = this.#nextRest;
    this.#nextRest = Math.min(longestRest, this.#growth * this.#nextRest);
    this.#length = Math.min(this.#most, firstGuesses);
    this.#trials = 0;
    this.#rested = true;
    this.#guessed = undefined;
    this.#share = undefined;
  }
}
