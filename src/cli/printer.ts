/** Prints an answer as it comes: thinking set apart, words wrapped in a terminal only (cli.md 4.2). */
import type { Context } from "./context.ts";

export interface PrinterSettings {
  readonly hideThinking: boolean;
  readonly wordWrap: boolean;
}

const dim = "\x1b[38;5;245m";
const reset = "\x1b[0m";

export class Printer {
  readonly #context: Context;
  readonly #settings: PrinterSettings;
  readonly #terminal: boolean;
  #state: "start" | "thinking" | "answer" = "start";
  #column = 0;
  #word = "";

  constructor(context: Context, settings: PrinterSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#terminal = context.stdoutIsTerminal;
  }

  thinking(text: string): void {
    if (text === "" || this.#settings.hideThinking) return;
    if (this.#state === "start") {
      this.#context.out(this.#terminal ? `${dim}Thinking...\n` : "Thinking...\n");
      this.#state = "thinking";
    }
    this.#write(text);
  }

  text(text: string): void {
    if (text === "") return;
    this.#endThinking();
    this.#state = "answer";
    this.#write(text);
  }

  /** All that was held back is out. */
  end(): void {
    this.#endThinking();
    this.#flushWord();
  }

  #endThinking(): void {
    if (this.#state !== "thinking") return;
    this.#flushWord();
    this.#context.out(`\n...done thinking.${this.#terminal ? reset : ""}\n\n`);
    this.#column = 0;
    this.#state = "answer";
  }

  #write(text: string): void {
    if (!this.#terminal || !this.#settings.wordWrap) {
      this.#context.out(text);
      return;
    }
    for (const character of text) {
      if (character === "\n" || character === " ") {
        this.#flushWord();
        this.#context.out(character);
        this.#column = character === "\n" ? 0 : this.#column + 1;
      } else this.#word += character;
    }
  }

  #flushWord(): void {
    if (this.#word === "") return;
    const width = Bun.stringWidth(this.#word);
    const columns = (process.stdout.columns || 80) - 5;
    if (this.#column > 0 && this.#column + width > columns) {
      this.#context.out("\n");
      this.#column = 0;
    }
    this.#context.out(this.#word);
    this.#column += width;
    this.#word = "";
  }
}
