/**
 * Finds the texts of special tokens (`<|im_end|>`, `</s>`) in other texts: where users wrote one, and
 * where a template did. A tree of characters, so that a long text costs one pass.
 */

interface Node {
  readonly next: Map<number, Node>;
  /** A special text ends here. */
  ends: boolean;
}

const node = (): Node => ({ next: new Map(), ends: false });

export class SpecialTexts {
  readonly #root = node();
  /** Where one may begin: matches every first character. */
  readonly #begins: RegExp;

  /** @param texts texts of special tokens; empty ones do not count */
  constructor(texts: Iterable<string>) {
    for (const text of texts) {
      let at = this.#root;
      for (let i = 0; i < text.length; i++) {
        const unit = text.charCodeAt(i);
        let next = at.next.get(unit);
        if (next === undefined) {
          next = node();
          at.next.set(unit, next);
        }
        at = next;
      }
      at.ends = at !== this.#root;
    }
    const first = [...this.#root.next.keys()].map(
      (unit) => `\\u${unit.toString(16).padStart(4, "0")}`,
    );
    this.#begins = new RegExp(`[${first.join("")}]`, "g");
  }

  /** Length in UTF-16 units of the longest special text that begins at `from`, 0 for none. */
  lengthAt(text: string, from: number): number {
    let at: Node | undefined = this.#root;
    let length = 0;
    for (let i = from; i < text.length; i++) {
      at = at.next.get(text.charCodeAt(i));
      if (at === undefined) break;
      if (at.ends) length = i + 1 - from;
    }
    return length;
  }

  /** The first special text that begins at `from` or later, the longest of several at one place. */
  find(text: string, from = 0): { at: number; length: number } | undefined {
    this.#begins.lastIndex = from;
    for (let begin = this.#begins.exec(text); begin; begin = this.#begins.exec(text)) {
      const length = this.lengthAt(text, begin.index);
      if (length > 0) return { at: begin.index, length };
    }
    return undefined;
  }
}
