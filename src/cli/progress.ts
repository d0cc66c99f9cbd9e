/**
 * A status line on stderr: a spinner in a terminal, plain lines elsewhere. Redrawn ten times a second
 * at most; nothing of it reaches stdout.
 */
import type { Context } from "./context.ts";

const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";

export class Progress implements Disposable {
  readonly #context: Context;
  #text = "";
  #frame = 0;
  #timer: Timer | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Shows a status; the one before stays above as finished. */
  status(text: string): void {
    if (text === this.#text) return;
    this.#finish();
    this.#text = text;
    if (text === "") return;
    if (!this.#context.stderrIsTerminal) {
      this.#context.note(`${text}\n`);
      return;
    }
    this.#draw();
    this.#timer ??= setInterval(() => this.#draw(), 100);
    this.#timer.unref();
  }

  #draw(): void {
    const frame = frames[this.#frame++ % frames.length] ?? "";
    this.#context.note(`\x1b[1G\x1b[K${this.#text} ${frame}`);
  }

  #finish(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#text !== "" && this.#context.stderrIsTerminal) {
      this.#context.note(`\x1b[1G\x1b[K${this.#text}\n`);
    }
    this.#text = "";
  }

  /** Changes the text of the status that is shown. */
  replace(text: string): void {
    if (this.#context.stderrIsTerminal) this.#text = text;
    else this.#context.note(`${text}\n`);
  }

  /** Takes the line away without a trace: what it announced is there. */
  clear(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#text !== "" && this.#context.stderrIsTerminal) this.#context.note("\x1b[1G\x1b[K");
    this.#text = "";
  }

  [Symbol.dispose](): void {
    this.#finish();
  }
}
