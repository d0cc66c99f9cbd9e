/**
 * What a step of so many decoding rows costs on this machine with this model, learned from the steps
 * themselves. On some machines two rows cost as much as two steps of one, so that batching them gains
 * nothing and each waits for the other; from four rows on it always pays (bench/README.md).
 */

/** Beyond this many rows batching is never in doubt. */
const doubtful = 4;
/** A figure that was not confirmed for so many steps is asked for again: contexts grow, machines get busy. */
const staleSteps = 256;
/** By how much single rows must be faster to be worth the trouble. */
const worthwhile = 1.02;

interface Figure {
  seconds: number;
  step: number;
}

export class CostCurve {
  readonly #figures: (Figure | undefined)[] = [];
  #steps = 0;
  /** What the last step of decoding rows took, seconds; 0 = there was none. */
  latest = 0;

  /** Notes a step of decoding rows alone. */
  observe(rows: number, seconds: number): void {
    this.#steps++;
    this.latest = seconds;
    if (rows > doubtful) return;
    const known = this.#fresh(rows);
    // A slow step tells of a busy machine, a fast one of what the step costs: falls are believed at once.
    const weight = known === undefined || seconds < known.seconds ? 1 : 0.05;
    const before = known?.seconds ?? seconds;
    this.#figures[rows] = {
      seconds: before + weight * (seconds - before),
      step: this.#steps,
    };
  }

  /** How many of `rows` decoding rows the next step should take, 1..rows. */
  rowsWorth(rows: number): number {
    if (rows < 2 || rows > doubtful) return rows;
    const together = this.#fresh(rows);
    if (together === undefined) return rows;
    const alone = this.#fresh(1);
    if (alone === undefined) return 1;
    return rows * alone.seconds * worthwhile < together.seconds ? 1 : rows;
  }

  #fresh(rows: number): Figure | undefined {
    const figure = this.#figures[rows];
    return figure !== undefined && this.#steps - figure.step <= staleSteps ? figure : undefined;
  }
}
