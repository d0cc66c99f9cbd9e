/**
 * Reads messages at a terminal: draws what is typed, keeps history, and keeps what is typed while
 * nobody reads. The terminal stays in raw mode from `open` to `close`.
 */
import {
  type Edit,
  edit,
  edited,
  empty,
  insert,
  moveLine,
  type Picture,
  picture,
  rowAfterReflow,
  spell,
} from "./editor.ts";
import { type Key, readKeys } from "./keys.ts";

export type Line =
  | { readonly kind: "line"; readonly text: string }
  /** Ctrl-C; `text` is what was typed and is dropped. */
  | { readonly kind: "interrupt"; readonly text: string }
  /** Ctrl-G: the text should be edited elsewhere. */
  | { readonly kind: "editor"; readonly text: string }
  /** Ctrl-D, or the terminal is gone. */
  | { readonly kind: "end" };

export interface Terminal {
  readonly input: NodeJS.ReadStream;
  out(text: string): void;
  columns(): number;
  rows(): number;
}

export interface ReadOptions {
  readonly first: string;
  readonly more: string;
  /** Shown while nothing is typed, with its styles. */
  readonly hint: string;
  /** Whether Enter begins another line instead of sending. */
  readonly isOpen: (text: string) => boolean;
  /** What stands there to begin with. */
  readonly text?: string;
}

const pasteOn = "\x1b[?2004h";
const pasteOff = "\x1b[?2004l";

export class LineReader {
  readonly #terminal: Terminal;
  /** Earlier messages, oldest first; the caller adds to it. */
  readonly #history: readonly string[];
  /** Called for Ctrl-C while nobody reads. */
  readonly #interrupted: () => void;
  #endKeys: (() => void) | undefined;
  #waiting: Key[] = [];
  #ended = false;
  #edit: Edit = empty;
  #options: ReadOptions | undefined;
  #resolve: ((line: Line) => void) | undefined;
  /** Row of the cursor within what is drawn. */
  #row = 0;
  /** What stands on the screen. */
  #drawn: Picture = { rows: [], row: 0, column: 0 };
  #drawing = false;
  /** Index in the history, its length for the text that is typed. */
  #at = 0;
  #draft = "";

  constructor(terminal: Terminal, history: readonly string[], interrupted: () => void) {
    this.#terminal = terminal;
    this.#history = history;
    this.#interrupted = interrupted;
  }

  open(): void {
    const { input } = this.#terminal;
    input.setRawMode(true);
    input.resume();
    input.once("end", this.#end);
    this.#endKeys = readKeys(input, (key) => this.#receive(key));
    process.stdout.on("resize", this.#resized);
    process.on("SIGCONT", this.#resumed);
    this.#terminal.out(pasteOn);
  }

  close(): void {
    const { input } = this.#terminal;
    this.#endKeys?.();
    process.stdout.off("resize", this.#resized);
    process.off("SIGCONT", this.#resumed);
    input.off("end", this.#end);
    input.setRawMode(false);
    input.pause();
    this.#terminal.out(pasteOff);
  }

  /** The next message. One call at a time. */
  read(options: ReadOptions): Promise<Line> {
    this.#options = options;
    this.#edit = edited(options.text ?? "", this.#edit.cut);
    this.#at = this.#history.length;
    this.#row = 0;
    return new Promise((resolve) => {
      this.#resolve = resolve;
      if (this.#ended) {
        this.#leave({ kind: "end" });
        return;
      }
      this.#draw();
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const key of waiting) this.#receive(key);
    });
  }

  readonly #end = () => {
    this.#ended = true;
    if (this.#resolve !== undefined) this.#leave({ kind: "end" });
  };

  readonly #resized = () => {
    if (this.#resolve === undefined || this.#options === undefined) return;
    this.#row = rowAfterReflow(this.#drawn, this.#terminal.columns());
    this.#draw();
  };

  readonly #resumed = () => {
    this.#terminal.input.setRawMode(true);
    this.#terminal.out(pasteOn);
    this.#row = 0;
    if (this.#resolve !== undefined) this.#draw();
  };

  #receive(key: Key): void {
    const name = key.kind === "key" ? spell(key) : "";
    if (name === "C-z" && process.platform !== "win32") {
      this.#terminal.input.setRawMode(false);
      this.#terminal.out(`${pasteOff}\r\n`);
      process.kill(process.pid, "SIGTSTP");
      // Where nobody would wake us again, the system does not stop us: then we just go on.
      this.#resumed();
      return;
    }
    if (this.#resolve === undefined) {
      if (name === "C-c") this.#interrupted();
      else this.#waiting.push(key);
      return;
    }
    const { text } = this.#edit;
    if (name === "C-c") this.#leave({ kind: "interrupt", text });
    else if (name === "C-d" && text === "") this.#leave({ kind: "end" });
    else if (name === "C-g") this.#leave({ kind: "editor", text });
    else if (name === "return") this.#enter();
    else if (name === "enter" || name === "M-return") this.#change(insert(this.#edit, "\n"));
    else if (name === "C-l") {
      this.#terminal.out("\x1b[H\x1b[2J");
      this.#row = 0;
      this.#draw();
    } else if (name === "up" || name === "C-p") this.#vertical(-1);
    else if (name === "down" || name === "C-n") this.#vertical(1);
    else {
      const next = edit(this.#edit, key);
      if (next !== undefined) this.#change(next);
    }
  }

  #enter(): void {
    if (this.#options?.isOpen(this.#edit.text)) {
      this.#change(insert(edited(this.#edit.text, this.#edit.cut), "\n"));
    } else this.#leave({ kind: "line", text: this.#edit.text });
  }

  /** Up and down: within the text, and beyond its edge through the history. */
  #vertical(step: -1 | 1): void {
    const moved = moveLine(this.#edit, step);
    if (moved !== undefined) {
      this.#change(moved);
      return;
    }
    const next = this.#at + step;
    if (next < 0 || next > this.#history.length) return;
    if (this.#at === this.#history.length) this.#draft = this.#edit.text;
    this.#at = next;
    this.#change(edited(this.#history[next] ?? this.#draft, this.#edit.cut));
  }

  #change(next: Edit): void {
    this.#edit = next;
    if (this.#drawing) return;
    // Keys that arrive together are drawn once.
    this.#drawing = true;
    queueMicrotask(() => {
      this.#drawing = false;
      if (this.#resolve !== undefined) this.#draw();
    });
  }

  #draw(options: { readonly hint: boolean } = { hint: true }): void {
    if (this.#options === undefined) return;
    const { rows, row, column } = picture(this.#edit, this.#options, this.#terminal.columns());
    // What does not fit is left out at the top or the bottom: rows above the screen cannot be redrawn.
    const most = Math.max(1, this.#terminal.rows() - 1);
    const top = Math.max(0, Math.min(row - Math.trunc(most / 2), rows.length - most));
    const shown = rows.slice(top, top + most);
    const hint = options.hint && this.#edit.text === "" ? this.#options.hint : "";
    const up = this.#row > 0 ? `\x1b[${this.#row}A` : "";
    const back = shown.length - 1 - (row - top);
    this.#terminal.out(
      `${up}\r\x1b[J${shown.join("\r\n")}${hint}${back > 0 ? `\x1b[${back}A` : ""}\r` +
        (column > 0 ? `\x1b[${column}C` : ""),
    );
    this.#row = row - top;
    this.#drawn = { rows: shown, row: row - top, column };
  }

  /** Ends reading: the text stays above, what follows begins on a line of its own. */
  #leave(line: Line): void {
    this.#edit = edited(this.#edit.text, this.#edit.cut);
    this.#draw({ hint: false });
    this.#terminal.out("\r\n");
    const resolve = this.#resolve;
    this.#resolve = undefined;
    resolve?.(line);
  }
}
