/** What was typed in chats: the file that Ollama keeps too, one entry a line (cli.md 7). */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { errorMessage } from "../../errors.ts";

const most = 100;

export class History {
  readonly #file: string;
  readonly #entries: string[];
  /** Whether new entries are kept. */
  enabled: boolean;

  /** @param enabled false: neither read nor written */
  constructor(file: string, enabled: boolean) {
    this.#file = file;
    this.enabled = enabled;
    this.#entries = enabled ? read(file) : [];
  }

  /** Oldest first; grows with `add`. */
  get entries(): readonly string[] {
    return this.#entries;
  }

  /**
   * Keeps a message. Entries of several lines become one line in the file.
   * @returns what went wrong with the file; the session keeps the entry all the same
   */
  add(text: string): string | undefined {
    if (!this.enabled || text.trim() === "" || text === this.#entries.at(-1)) return undefined;
    this.#entries.push(text);
    if (this.#entries.length > most) this.#entries.shift();
    try {
      this.#write();
      return undefined;
    } catch (error) {
      return `cannot keep history in "${this.#file}": ${errorMessage(error)}`;
    }
  }

  #write(): void {
    mkdirSync(dirname(this.#file), { recursive: true });
    const lines = this.#entries.map((entry) => `${entry.replaceAll("\n", " ")}\n`);
    const temporary = `${this.#file}.${process.pid}.tmp`;
    writeFileSync(temporary, lines.join(""), { mode: 0o600 });
    chmodSync(temporary, 0o600);
    renameSync(temporary, this.#file);
  }
}

function read(file: string): string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .slice(-most);
}
