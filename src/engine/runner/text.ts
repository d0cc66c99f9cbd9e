/**
 * From the bytes of tokens to pieces of text: never half a UTF-8 character, never a piece of a stop
 * text. What might still become a stop text is held back until that is decided (api.md 4).
 */

export interface Piece {
  /** What may be shown now; may be empty. */
  readonly text: string;
  /** A stop text was completed: the answer ends before it. */
  readonly stopped: boolean;
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

  /** @param stops texts that end the answer; none may be empty */
  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** Takes the bytes of one token. After `stopped` nothing more may be pushed. */
  push(bytes: Uint8Array): Piece {
    const text = this.#decoder.decode(bytes, { stream: true });
    if (this.#stops.length === 0) return { text, stopped: false };
    const all = this.#held + text;
    let first = -1;
    for (const stop of this.#stops) {
      const at = all.indexOf(stop);
      if (at >= 0 && (first < 0 || at < first)) first = at;
    }
    if (first >= 0) {
      this.#held = "";
      return { text: all.slice(0, first), stopped: true };
    }
    const shown = all.length - heldBack(all, this.#stops);
    this.#held = all.slice(shown);
    return { text: all.slice(0, shown), stopped: false };
  }

  /** The rest, when the answer ends by itself. A character that never became whole is dropped. */
  end(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }
}
