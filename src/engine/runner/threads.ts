/**
 * How many threads a step uses. ggml's threads wait for each other spinning, hundreds of times a step:
 * when other programs want the cores, and one of the threads is not running, all the others burn
 * theirs, and a step takes a hundred times as long. Fewer threads are then faster by far. So a step
 * that takes much longer than its like makes the governor try half as many, and go on as it measures.
 */

/** A step is suspicious when it takes so many times as long as the best of its size. */
const suspicious = 3;
/** Nothing below this is worth a thought, seconds. */
const least = 0.004;
/** The first step of a size has nothing to compare with: this is long for any, seconds. */
const long = 0.5;
/** After so much time with fewer threads more are tried again, seconds. */
const patience = 2;

export class ThreadGovernor {
  /** Threads of the next step. */
  threads: number;
  readonly #most: number;
  /** Fewest thread-seconds of a step, by number of rows rounded to powers of two. */
  readonly #best = new Map<number, number>();
  /** Threads before the trial that runs, and what a row took there. */
  #trial: { from: number; perRow: number } | undefined;
  #sinceChange = 0;

  constructor(most: number) {
    this.#most = most;
    this.threads = most;
  }

  /** Tells how long a step of so many rows took with `threads`. */
  observe(rows: number, seconds: number): void {
    const size = Math.round(Math.log2(rows));
    const best = this.#best.get(size);
    const spent = seconds * this.threads;
    // The best may become slower with the context: it is forgotten slowly.
    this.#best.set(size, best === undefined ? spent : Math.min(spent, best * 1.002));
    this.#sinceChange += seconds;
    if (this.#trial !== undefined) {
      const { from, perRow } = this.#trial;
      this.#trial = undefined;
      if (seconds / rows > perRow) {
        this.#use(from);
        return;
      }
    }
    const slow = best === undefined ? seconds > long : spent > suspicious * best;
    if (slow && seconds > least && this.threads > 1) this.#try(this.threads >> 1, seconds / rows);
    else if (this.threads < this.#most && this.#sinceChange > patience) {
      this.#try(Math.min(this.#most, this.threads * 2), seconds / rows);
    }
  }

  #try(threads: number, perRow: number): void {
    this.#trial = { from: this.threads, perRow };
    this.#use(threads);
  }

  #use(threads: number): void {
    this.threads = threads;
    this.#sinceChange = 0;
  }
}
