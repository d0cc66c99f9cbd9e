/** A vocabulary as a GGUF holds it, whatever it was read from. */

/** Kinds of tokens (llama.h, LLAMA_TOKEN_TYPE_…). */
export const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 };

export interface Vocabulary {
  /** `tokenizer.ggml.model`: how texts are split. */
  readonly model: "llama" | "gpt2" | "bert" | "t5";
  /** `tokenizer.ggml.pre`: the first split of byte-level tokenizers. */
  readonly pre: string;
  tokens: string[];
  scores: number[];
  types: number[];
  readonly merges?: readonly string[];
  /** Ids of tokens that the tokenizer adds by name. */
  readonly added: ReadonlyMap<string, number>;
  /** Only of unigram tokenizers: what their normaliser does. */
  readonly unigram?: {
    readonly addSpacePrefix: boolean;
    readonly removeExtraWhitespaces: boolean;
    readonly charsmap: Uint8Array | undefined;
  };
}

/** Fills up to the number of embeddings that the model has; the fillers are counted from 0. */
export function padVocabulary(vocabulary: Vocabulary, size: number): void {
  const missing = size - vocabulary.tokens.length;
  for (let i = 0; i < missing; i++) {
    vocabulary.tokens.push(`[PAD${i}]`);
    vocabulary.scores.push(-1);
    vocabulary.types.push(tokenTypes.userDefined);
  }
}
