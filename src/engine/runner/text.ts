/**
 * From the bytes of tokens to pieces of text: never half a UTF-8 character, never a piece of a stop
 * text. Tokens with which a stop text might begin are held back until that is decided (api.md 4).
 */

export interface Piece {
  /** What may be shown now; may be empty. */
  readonly text: string;
  /** A stop text was completed: the answer ends before it. */
  readonly stopped: boolean;
  /** The token that completed it shows nothing of its own: all of it is the stop text's. */
  readonly swallowed?: boolean;
}

/** Length of the longest end of `text` with which a stop text could begin. */
function heldBack(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let size = Math.min(stop.length - 1, text.length); size > longest; size--) {
      if (text.endsWith(stop.slice(0, size))) {
        longest = size;
        break;
      }
    }
  }
  return longest;
}

export class TextAssembler {
  readonly #decoder = new TextDecoder();
  readonly #stops: readonly string[];
  #held = "";
  /** Where in the held text its tokens begin. */
  #starts: number[] = [];

  /** @param stops texts that end the answer; none may be empty */
  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Takes the bytes of one token. After `stopped` nothing more may be pushed. */
  push(bytes: Uint8Array): Piece {
    const text = this.#decoder.decode(bytes, { stream: true });
    if (this.#stops.length === 0) return { text, stopped: false };
    this.#starts.push(this.#held.length);
    const all = this.#held + text;
    let first = -1;
    for (const stop of this.#stops) {
      const at = all.indexOf(stop);
      if (at >= 0 && (first < 0 || at < first)) first = at;
    }
    if (first >= 0) {
      const swallowed = first <= (this.#starts.at(-1) ?? 0);
      this.#held = "";
      this.#starts = [];
      return { text: all.slice(0, first), stopped: true, ...(swallowed ? { swallowed } : {}) };
    }
    const held = heldBack(all, this.#stops);
    // Whole tokens are shown or held, as llama.cpp's server does.
    const shown =
      held === 0 ? all.length : (this.#starts.findLast((at) => at <= all.length - held) ?? 0);
    this.#held = all.slice(shown);
    this.#starts =
      held === 0 ? [] : this.#starts.filter((at) => at >= shown).map((at) => at - shown);
    return { text: all.slice(0, shown), stopped: false };
  }

  /** What is still held back. A character that never became whole is dropped. */
  end(): string {
    const rest = this.#held;
    this.#held = "";
    this.#starts = [];
    return rest;
  }
}
