/**
 * Progress on stderr: a spinner for what has no size, bars for transfers. In a terminal it is redrawn
 * ten times a second at most; elsewhere it is plain lines, transfers at intervals. Nothing of it
 * reaches stdout.
 */
import type { default as LogUpdate } from "log-update";
import type { Json } from "../client.ts";
import type { Context } from "../context.ts";
import { type Bar, barLine, barText, isComplete, Rate } from "./bar.ts";

const frames = [..."⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"];

/** Milliseconds between two pictures in a terminal. */
const redraw = 100;

/** Milliseconds between two lines of the same transfer where there is no terminal. */
const interval = 5000;

interface Transfer extends Bar {
  readonly speed: Rate;
  /** When its last plain line was written. */
  told: number;
}

export class Progress implements Disposable {
  readonly #context: Context;
  readonly #quiet: boolean;
  readonly #now: () => number;
  #text = "";
  readonly #bars = new Map<string, Transfer>();
  #frame = 0;
  /** When a line about a copy was written. */
  #told = 0;
  #timer: Timer | undefined;
  /** Loaded when there is something to draw: commands that never wait do not pay for it. */
  #draw: typeof LogUpdate | undefined;
  #loading = false;
  /** Whether something is on the screen that is redrawn. */
  #drawn = false;

  /** @param now milliseconds of a clock that never goes back; tests give their own */
  constructor(
    context: Context,
    options: { readonly quiet?: boolean; readonly now?: () => number } = {},
  ) {
    this.#context = context;
    this.#quiet = options.quiet ?? false;
    this.#now = options.now ?? (() => performance.now());
  }

  get #live(): boolean {
    return this.#context.stderrIsTerminal;
  }

  /** Shows a status; what was shown before stays above as finished. */
  status(text: string): void {
    if (this.#quiet || text === this.#text) return;
    this.#finish();
    this.#text = text;
    if (text === "") return;
    if (this.#live) this.#open();
    else this.#context.note(`${text}\n`);
  }

  /** Shows how far a transfer is; transfers with another `key` stay beside it. */
  transfer(key: string, label: string, completed: number, total: number): void {
    if (this.#quiet) return;
    if (this.#text !== "") this.#finish();
    const now = this.#now();
    const known = this.#bars.get(key);
    const speed = known?.speed ?? new Rate();
    speed.add(completed, now);
    const bar = { label, completed, total, speed, rate: speed.perSecond, told: known?.told ?? now };
    if (!this.#live) {
      const done = isComplete(bar);
      const news = done ? known === undefined || !isComplete(known) : now - bar.told >= interval;
      if (news) {
        this.#context.note(`${barText(bar)}\n`);
        bar.told = now;
      }
    }
    this.#bars.set(key, bar);
    if (this.#live) this.#open();
  }

  /** A file on its way into the store: a bar in a terminal, its share elsewhere (modelfile.md 5.9). */
  copy(digest: string, completed: number, total: number): void {
    if (this.#live) {
      this.transfer(digest, `copying file ${digest.slice(0, 19)}`, completed, total);
      return;
    }
    const now = this.#now();
    if (completed < total && now - this.#told < interval) return;
    this.#told = now;
    const share = total === 0 ? 100 : Math.trunc((completed / total) * 100);
    this.status(`copying file ${digest} ${share}%`);
  }

  /** Takes away what is shown, without a trace: what it announced is there. */
  clear(): void {
    this.#stop();
    this.#text = "";
    this.#bars.clear();
    if (!this.#drawn) return;
    this.#draw?.clear();
    this.#done();
  }

  [Symbol.dispose](): void {
    this.#finish();
    this.#stop();
    this.#done();
  }

  /** Gives the cursor back, if it was taken. */
  #done(): void {
    if (this.#drawn) this.#draw?.done();
    this.#drawn = false;
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #open(): void {
    this.#timer ??= setInterval(() => this.#picture(), redraw);
    this.#timer.unref();
    if (this.#loading) return;
    this.#loading = true;
    void import("log-update").then(({ createLogUpdate }) => {
      const context = this.#context;
      const stream = {
        isTTY: true,
        write: (text: string) => context.note(text),
        get columns() {
          return context.columns();
        },
        get rows() {
          return context.rows();
        },
      };
      this.#draw = createLogUpdate(stream as unknown as NodeJS.WritableStream);
      if (this.#timer !== undefined) this.#picture();
    });
  }

  /** What is under way, as tall as the terminal at most. */
  #picture(): void {
    const lines = this.#lines();
    if (this.#draw === undefined || lines.length === 0) return;
    this.#frame++;
    this.#drawn = true;
    const most = Math.max(1, this.#context.rows() - 1);
    this.#draw(lines.slice(-most).join("\n"));
  }

  #lines(): string[] {
    const columns = this.#context.columns();
    const most = this.#context.rows() - 1;
    const bars = [...this.#bars.values()];
    const shown = bars.length > most ? bars.filter((bar) => !isComplete(bar)) : bars;
    const lines = shown.map((bar) => barLine(bar, columns));
    if (this.#text !== "") lines.push(`${this.#text} ${frames[this.#frame % frames.length]}`);
    return lines;
  }

  /** What was under way is done or over: it stays as it is. */
  #finish(): void {
    if (this.#live) {
      const columns = this.#context.columns();
      const lines = [...this.#bars.values()].map((bar) => barLine(bar, columns));
      if (this.#text !== "") lines.push(this.#text);
      if (lines.length > 0) this.#print(lines.join("\n"));
    }
    this.#bars.clear();
    this.#text = "";
  }

  #print(text: string): void {
    if (this.#draw === undefined) this.#context.note(`${text}\n`);
    else this.#draw.persist(text);
  }
}

/**
 * Shows the lines of a pull, push or create to their end (cli.md 6): those with a digest are
 * transfers, the others statuses.
 * @param label of a transfer, from its status and the first twelve digits of its digest
 */
export async function follow(
  progress: Progress,
  lines: AsyncIterable<Json>,
  label: (status: string, digits: string) => string,
): Promise<void> {
  for await (const line of lines) {
    const status = String(line.status ?? "");
    if (typeof line.digest !== "string" || line.digest === "") {
      progress.status(status);
      continue;
    }
    const completed = Number(line.completed ?? 0);
    if (completed === 0) continue;
    const digits = line.digest.replace("sha256:", "").slice(0, 12);
    progress.transfer(line.digest, label(status, digits), completed, Number(line.total ?? 0));
  }
}
