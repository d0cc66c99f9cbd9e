/**
 * Tells the user what the build does and how far it is: on a terminal one line that changes, else
 * plain lines now and then. Everything goes to stderr; the compiler's own words go to the log only.
 */

/** What is written to; a terminal has a width. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Without a terminal, a running step says how far it is at most this often. */
const plainIntervalMs = 15_000;
const barWidth = 24;

export class Progress {
  #total = 0;
  #steps = 0;
  #title = "";
  #started = performance.now();
  #stepStarted = 0;
  #lastPlain = 0;
  #done = 0;
  #of = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly screen: Screen = process.stderr,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#started = this.now();
  }

  /** Announces steps, so that each can say how many there are. */
  expect(steps: number): void {
    this.#total += steps;
  }

  /** Ends the running step and begins the next. */
  step(title: string): void {
    this.#finishStep();
    this.#steps++;
    this.#title = title;
    this.#stepStarted = this.now();
    this.#lastPlain = this.#stepStarted;
    this.#done = 0;
    this.#of = 0;
    if (this.screen.isTTY) {
      this.#timer = setInterval(() => this.#draw(), 1000);
      this.#timer.unref();
      this.#draw();
    } else {
      this.screen.write(`${this.#label()} …\n`);
    }
  }

  /** How far the running step is. */
  update(done: number, total: number): void {
    this.#done = done;
    this.#of = total;
    if (this.screen.isTTY) this.#draw();
    else if (this.now() - this.#lastPlain >= plainIntervalMs) {
      this.#lastPlain = this.now();
      this.screen.write(`${this.#label()}: ${done}/${total}, ${this.#elapsed()}\n`);
    }
  }

  /** A line that stays. */
  note(text: string): void {
    this.#clear();
    this.screen.write(`${text}\n`);
    if (this.#timer !== undefined) this.#draw();
  }

  /** Ends the last step. */
  finish(text: string): void {
    this.#finishStep();
    this.screen.write(`${text} (${seconds(this.now() - this.#started)})\n`);
  }

  /** Ends whatever runs, without a word: an error message follows. */
  abort(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.screen.isTTY && this.#title !== "") this.screen.write("\n");
    this.#title = "";
  }

  #finishStep(): void {
    if (this.#title === "") return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#clear();
    this.screen.write(`${this.#label()}: done, ${this.#elapsed()}\n`);
    this.#title = "";
  }

  #label(): string {
    return `[${this.#steps}/${this.#total}] ${this.#title}`;
  }

  #elapsed(): string {
    return seconds(this.now() - this.#stepStarted);
  }

  #clear(): void {
    if (this.screen.isTTY) this.screen.write("\r\x1b[K");
  }

  #draw(): void {
    let line = this.#label();
    if (this.#of > 0) {
      const filled = Math.round((this.#done / this.#of) * barWidth);
      const bar = "█".repeat(filled) + "░".repeat(barWidth - filled);
      line += ` ${bar} ${this.#done}/${this.#of}`;
    }
    line += ` ${this.#elapsed()}`;
    this.screen.write(`\r\x1b[K${line.slice(0, (this.screen.columns ?? 80) - 1)}`);
  }
}

function seconds(ms: number): string {
  const whole = Math.floor(ms / 1000);
  if (whole < 10) return `${(ms / 1000).toFixed(1)} s`;
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** How far Ninja (`[3/120] …`) or Make (`[ 12%] …`) says that it is. */
export function parseBuildLine(line: string): { done: number; total: number } | undefined {
  const ninja = /^\[(\d+)\/(\d+)\]/.exec(line);
  if (ninja) return { done: Number(ninja[1]), total: Number(ninja[2]) };
  const make = /^\[ *(\d+)%\]/.exec(line);
  return make ? { done: Number(make[1]), total: 100 } : undefined;
}
