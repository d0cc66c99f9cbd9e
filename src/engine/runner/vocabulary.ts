/** The tokenizer of a loaded model as prompts need it: which tokens are special, and how to spell. */
import { facts, type NativeModel, tokenAttributes } from "../../../ffi/native.ts";
import type { PromptToken, Vocabulary } from "./prompt-tokens.ts";

/** Marks of turns that some vocabularies (DeepSeek's) list among words that users added. */
const turnMark = /^<[|｜]\S+[|｜]>$/;

/** What an added word must look like to be able to mean something: runs of blanks and the like do not. */
const wordMark = /^(?:<[^\s<>]+>|\[[^\s[\]]+\])$/;

function specialsOf(model: NativeModel): PromptToken[] {
  const { control, unknown, userDefined, stripsLeft, stripsRight } = tokenAttributes;
  const decoder = new TextDecoder();
  const found: PromptToken[] = [];
  const count = model.fact(facts.vocabulary);
  for (let id = 0; id < count; id++) {
    const bits = model.attributes(id);
    if ((bits & (control | unknown | userDefined)) === 0) continue;
    const text = decoder.decode(model.piece(id, true));
    const added = (bits & (control | unknown)) === 0 && !turnMark.test(text);
    if (added && !wordMark.test(text)) continue;
    found.push({
      id,
      text,
      stripsLeft: (bits & stripsLeft) !== 0,
      stripsRight: (bits & stripsRight) !== 0,
      control: (bits & unknown) === 0,
      added,
    });
  }
  return found.filter(({ text }) => text !== "");
}

/** Bytes as a key: one character each. */
const keyOf = (bytes: Uint8Array) => String.fromCharCode(...bytes);

export class NativeVocabulary implements Vocabulary {
  readonly specials: readonly PromptToken[];
  readonly #model: NativeModel;
  /** Plain tokens by their bytes, those of a single character; made when first needed. */
  #letters: Map<string, number> | undefined;

  constructor(model: NativeModel) {
    this.#model = model;
    this.specials = specialsOf(model);
  }

  tokenize(text: string, parseSpecial: boolean): Int32Array {
    return this.#model.tokenize(text, false, parseSpecial);
  }

  spell(text: string): readonly number[] {
    return this.#inTwo(text) ?? this.#inLetters(text);
  }

  /** The first character and the rest, each as the tokenizer cuts it; undefined where that is another text. */
  #inTwo(text: string): readonly number[] | undefined {
    const first = String.fromCodePoint(text.codePointAt(0) ?? 0);
    const ids = [first, text.slice(first.length)].flatMap((part) => [
      ...this.#model.tokenize(part, false, false),
    ]);
    const bytes = Buffer.concat(ids.map((id) => this.#model.piece(id, false)));
    const special = ids.some((id) => this.specials.some((token) => token.id === id));
    return special || bytes.toString() !== text ? undefined : ids;
  }

  #inLetters(text: string): readonly number[] {
    this.#letters ??= this.#readLetters();
    const encoder = new TextEncoder();
    const ids: number[] = [];
    for (const character of text) {
      const bytes = encoder.encode(character);
      const whole = this.#letters.get(keyOf(bytes));
      if (whole !== undefined) ids.push(whole);
      else ids.push(...this.#byBytes(bytes, this.#letters));
    }
    return ids;
  }

  /** A vocabulary without tokens for bytes cannot spell every character: such ones are left out. */
  #byBytes(bytes: Uint8Array, letters: ReadonlyMap<string, number>): number[] {
    return [...bytes]
      .map((byte) => letters.get(String.fromCharCode(byte)))
      .filter((id) => id !== undefined);
  }

  #readLetters(): Map<string, number> {
    const { control, unknown } = tokenAttributes;
    const letters = new Map<string, number>();
    const count = this.#model.fact(facts.vocabulary);
    for (let id = 0; id < count; id++) {
      if ((this.#model.attributes(id) & (control | unknown)) !== 0) continue;
      const bytes = this.#model.piece(id, false);
      // A character is four bytes at most.
      if (bytes.length >= 1 && bytes.length <= 4) letters.set(keyOf(bytes), id);
    }
    return letters;
  }
}
