/**
 * From the pieces of a prompt to tokens. Texts side by side are one text to the tokenizer; but a
 * special token is only seen where its text stands whole inside one piece that may hold special
 * tokens. So what a user wrote never becomes one (engine.ts, `TextPart`), and a prompt without such
 * texts is tokenised exactly as if it were one text.
 */
import type { TextToCut } from "../../../ffi/native.ts";
import type { SpecialToken, TextPart } from "../engine.ts";
import { SpecialTexts } from "../special-texts.ts";

/** A token that means, or may mean, something to the model rather than being text. */
export interface PromptToken extends SpecialToken {
  readonly added: boolean;
  /** White space before or after its text is not part of the prompt. */
  readonly stripsLeft: boolean;
  readonly stripsRight: boolean;
  /** False for the unknown token, which plain text may become. */
  readonly control: boolean;
}

/** The tokenizer of a loaded model. */
export interface Vocabulary {
  readonly specials: readonly PromptToken[];
  tokenize(text: string, parseSpecial: boolean): Int32Array;
  /** Ids of tokens that spell the text of a special token without being special. */
  spell(text: string): readonly number[];
}

type Piece = Extract<TextPart, { text: string }>;

/**
 * What becomes of a stretch of a prompt: tokens that are there, a text that is cut as it is, or texts
 * without special tokens with the ids of those between them. Known before anything is cut.
 */
type Stretch =
  | { readonly tokens: readonly number[] }
  | { readonly whole: TextToCut }
  | { readonly apart: readonly (TextToCut | number)[] };

export type PromptPlan = readonly Stretch[];

/** The texts that a plan wants cut, in order. */
export function textsOf(plan: PromptPlan): TextToCut[] {
  return plan.flatMap((stretch) => {
    if ("tokens" in stretch) return [];
    if ("whole" in stretch) return [stretch.whole];
    return stretch.apart.filter((piece) => typeof piece !== "number");
  });
}

export class PromptTokenizer {
  readonly #vocabulary: Vocabulary;
  readonly #texts: SpecialTexts;
  readonly #byText: ReadonlyMap<string, PromptToken>;
  readonly #controls: ReadonlyMap<number, string>;

  constructor(vocabulary: Vocabulary) {
    const { specials } = vocabulary;
    this.#vocabulary = vocabulary;
    this.#texts = new SpecialTexts(specials.map(({ text }) => text));
    this.#byText = new Map(specials.map((special) => [special.text, special]));
    this.#controls = new Map(
      specials.filter(({ control }) => control).map(({ id, text }) => [id, text]),
    );
  }

  /** Tokens of the pieces, without anything that the tokenizer adds by itself. */
  tokens(parts: readonly TextPart[]): ArrayLike<number>[] {
    return this.assemble(this.plan(parts), ({ text, parseSpecial }) =>
      this.#vocabulary.tokenize(text, parseSpecial),
    );
  }

  /** What has to be cut, and what becomes of it. */
  plan(parts: readonly TextPart[]): PromptPlan {
    const plan: Stretch[] = [];
    for (let at = 0; at < parts.length; ) {
      const part = parts[at];
      if (part === undefined) break;
      if ("tokens" in part) {
        plan.push({ tokens: part.tokens });
        at++;
        continue;
      }
      const run: Piece[] = [];
      for (let next = parts[at]; next !== undefined && "text" in next; next = parts[++at]) {
        run.push(next);
      }
      plan.push(this.#run(run));
    }
    return plan;
  }

  /**
   * The tokens of a plan.
   *
   * @param cut tokens of a text; asked for the texts of the plan (`textsOf`), once each and in order
   */
  assemble(plan: PromptPlan, cut: (text: TextToCut) => Int32Array): ArrayLike<number>[] {
    return plan.map((stretch) => {
      if ("tokens" in stretch) return stretch.tokens;
      if ("whole" in stretch) return cut(stretch.whole);
      const out: number[] = [];
      for (const piece of stretch.apart) {
        if (typeof piece === "number") out.push(piece);
        else this.#plain(cut(piece), out);
      }
      return out;
    });
  }

  #run(pieces: readonly Piece[]): Stretch {
    const text = pieces.map((piece) => piece.text).join("");
    return this.#isPlain(pieces, text)
      ? { whole: { text, parseSpecial: true } }
      : { apart: this.#apart(pieces) };
  }

  /** Whether every special text of the joined text stands whole in a piece that may hold it. */
  #isPlain(pieces: readonly Piece[], text: string): boolean {
    if (pieces.length === 1 && pieces[0]?.parseSpecial) return true;
    let piece = 0;
    let end = pieces[0]?.text.length ?? 0;
    for (let found = this.#texts.find(text); found; ) {
      while (found.at >= end && piece < pieces.length - 1) end += pieces[++piece]?.text.length ?? 0;
      if (!pieces[piece]?.parseSpecial || found.at + found.length > end) return false;
      found = this.#texts.find(text, found.at + found.length);
    }
    return true;
  }

  /** Special tokens that templates wrote, and between them text without any. */
  #apart(pieces: readonly Piece[]): (TextToCut | number)[] {
    const out: (TextToCut | number)[] = [];
    let text = "";
    let before: PromptToken | undefined;
    const flush = (after: PromptToken | undefined) => {
      if (before?.stripsRight) text = text.trimStart();
      if (after?.stripsLeft) text = text.trimEnd();
      if (text !== "") out.push({ text, parseSpecial: false });
      if (after !== undefined) out.push(after.id);
      text = "";
      before = after;
    };
    for (const piece of pieces) {
      let at = 0;
      while (piece.parseSpecial) {
        const found = this.#texts.find(piece.text, at);
        if (found === undefined) break;
        const end = found.at + found.length;
        text += piece.text.slice(at, found.at);
        flush(this.#byText.get(piece.text.slice(found.at, end)));
        at = end;
      }
      text += piece.text.slice(at);
    }
    flush(undefined);
    return out;
  }

  /**
   * Tokens of a text that holds no special token. Added words are tokens wherever they stand, and vocabularies of
   * sentencepiece can put a special one together from pieces: such a text is spelled.
   */
  #plain(tokens: Int32Array, out: number[]): void {
    for (const token of tokens) {
      const control = this.#controls.get(token);
      if (control === undefined) out.push(token);
      else out.push(...this.#vocabulary.spell(control));
    }
  }
}
