/**
 * Prints an answer as it comes: thinking set apart, words wrapped in a terminal only (cli.md 4.2).
 * Elsewhere the text goes out untouched: no line break and no control sequence of ours.
 */
import type { Context } from "../context.ts";
import { hint, plain } from "./style.ts";

export interface PrinterSettings {
  readonly hideThinking: boolean;
  readonly wordWrap: boolean;
}

/** Columns that stay free at the right. */
const margin = 5;

export class Printer {
  readonly #context: Context;
  readonly #settings: PrinterSettings;
  readonly #terminal: boolean;
  #state: "start" | "thinking" | "answer" = "start";
  /** Column at which the last word begins. */
  #column = 0;
  /** What has been printed since the last blank. */
  #word = "";
  /** Made when it is needed: it takes milliseconds, and pipes need none. */
  #graphemes: Intl.Segmenter | undefined;

  constructor(context: Context, settings: PrinterSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#terminal = context.stdoutIsTerminal;
  }

  thinking(text: string): void {
    if (text === "" || this.#settings.hideThinking) return;
    if (this.#state === "start") {
      this.#context.out(this.#terminal ? `${hint(this.#context)}Thinking...\n` : "Thinking...\n");
      this.#state = "thinking";
    }
    this.#write(text);
  }

  text(text: string): void {
    if (text === "") return;
    if (this.#state === "thinking") {
      this.#context.out(`\n...done thinking.\n\n${this.#terminal ? plain : ""}`);
      this.#newLine();
    }
    this.#state = "answer";
    this.#write(text);
  }

  /** The answer is over, also when it broke off: the terminal is as it was. */
  end(): void {
    if (this.#state === "thinking" && this.#terminal) this.#context.out(plain);
    this.#state = "answer";
  }

  #newLine(): void {
    this.#column = 0;
    this.#word = "";
  }

  #write(text: string): void {
    if (!this.#terminal || !this.#settings.wordWrap) {
      this.#context.out(text);
      return;
    }
    const limit = Math.max(1, this.#context.columns() - margin);
    let out = "";
    this.#graphemes ??= new Intl.Segmenter();
    for (const { segment } of this.#graphemes.segment(text)) out += this.#place(segment, limit);
    this.#context.out(out);
  }

  /** What must be printed for one more character. */
  #place(character: string, limit: number): string {
    if (/[\r\n]/.test(character)) {
      this.#newLine();
      return character;
    }
    const before = Bun.stringWidth(this.#word);
    const word = this.#word + character;
    const width = Bun.stringWidth(word);
    const blank = character === " " || character === "\t";
    // Characters of two columns are words of their own: their scripts break lines anywhere.
    const alone = blank || width - before === 2;
    if (this.#column + width <= limit) {
      this.#word = alone ? "" : word;
      if (alone) this.#column += width;
      return character;
    }
    if (blank) {
      this.#newLine();
      return "\n";
    }
    if (alone && this.#column + before > 0) {
      this.#newLine();
      this.#column = Bun.stringWidth(character);
      return `\n${character}`;
    }
    if (this.#column === 0) {
      // A word longer than the line: the terminal breaks it where it must, and it is not moved again.
      this.#word = word;
      return character;
    }
    if (before === 0) {
      this.#newLine();
      this.#word = character;
      return `\n${character}`;
    }
    this.#column = 0;
    this.#word = word;
    return `\x1b[${before}D\x1b[K\n${word}`;
  }
}
