/**
 * How many threads a step uses. ggml's threads wait for each other spinning, hundreds of times a step:
 * when other programs want the cores, and one of the threads is not running, all the others burn
 * theirs, and a step takes a hundred times as long. Fewer threads are then faster by far. So a step
 * that takes much longer than its like makes the governor try half as many, and go on as it measures.
 */

/** A step is slow when it takes so many times as long as the best of its kind. */
const slowFactor = 3;
/** Steps that look back at fewer tokens than this are of one kind, up to three times as many of the next, and so on. */
const shortBack = 256;
/** One slow step is chance; so many in a row, and so much time, are not. Steps, seconds. */
const slowSteps = 4;
const slowSeconds = 0.15;
/** The first step of a size has nothing to compare with: this is long for any, seconds. */
const long = 0.5;
/** After so much time with fewer threads more are tried again; doubled each time that it was no help. */
const firstPatience = 0.25;
const mostPatience = 4;

export class ThreadGovernor {
  /** Threads of the next step. */
  threads: number;
  readonly #most: number;
  /** Fewest thread-seconds of a step, by number of rows and by what they look back at, as powers of two. */
  readonly #best = new Map<number, number[]>();
  /** The slow steps in a row that just ended or go on. */
  #slow = { steps: 0, seconds: 0, rows: 0 };
  /** Threads before the trial that runs, and what a row took there. */
  #trial: { from: number; perRow: number } | undefined;
  #sinceChange = 0;
  #patience = firstPatience;

  constructor(most: number) {
    this.#most = most;
    this.threads = most;
  }

  /**
   * Tells how long a step of so many rows took with `threads`.
   *
   * @param back tokens that each row looked back at, in the mean
   */
  observe(rows: number, back: number, seconds: number): void {
    const slow = this.#isSlow(rows, back, seconds);
    this.#sinceChange += seconds;
    if (this.#trial !== undefined && !this.#judge(rows, seconds)) return;
    this.#slow = slow
      ? {
          steps: this.#slow.steps + 1,
          seconds: this.#slow.seconds + seconds,
          rows: this.#slow.rows + rows,
        }
      : { steps: 0, seconds: 0, rows: 0 };
    const { steps, seconds: lost, rows: slowRows } = this.#slow;
    const certain = seconds > long || (steps >= slowSteps && lost >= slowSeconds);
    if (slow && certain && this.threads > 1) this.#try(this.threads >> 1, lost / slowRows);
    else if (this.threads < this.#most && this.#sinceChange > this.#patience) {
      this.#try(Math.min(this.#most, this.threads * 2), seconds / rows);
    }
  }

  #isSlow(rows: number, back: number, seconds: number): boolean {
    const size = Math.round(Math.log2(rows));
    const depth = Math.round(Math.log2(1 + back / shortBack));
    const figures = this.#best.get(size) ?? [];
    this.#best.set(size, figures);
    const spent = seconds * this.threads;
    const best = bestAt(figures, depth);
    // The best is forgotten slowly: what takes its time now may not have before.
    const known = figures[depth];
    figures[depth] = known === undefined ? spent : Math.min(spent, known * 1.002);
    return best === undefined ? seconds > long : spent > slowFactor * best;
  }

  /** The end of a trial. True when its number of threads stays. */
  #judge(rows: number, seconds: number): boolean {
    const { from, perRow } = this.#trial ?? { from: this.threads, perRow: 0 };
    this.#trial = undefined;
    const up = this.threads > from;
    if (seconds / rows <= perRow) {
      if (up) this.#patience = firstPatience;
      return true;
    }
    if (up) this.#patience = Math.min(mostPatience, 2 * this.#patience);
    this.#use(from);
    return false;
  }

  #try(threads: number, perRow: number): void {
    this.#trial = { from: this.threads, perRow };
    this.#use(threads);
  }

  #use(threads: number): void {
    this.threads = threads;
    this.#sinceChange = 0;
    this.#slow = { steps: 0, seconds: 0, rows: 0 };
  }
}

/** The best of a kind; of one that has not come yet by the next shallower one: twice as far back costs at most twice as much. */
function bestAt(figures: readonly number[], depth: number): number | undefined {
  for (let near = depth; near >= 0; near--) {
    const best = figures[near];
    if (best !== undefined) return best * 2 ** (depth - near);
  }
  return figures.find((best) => best !== undefined);
}
