/**
 * The tokens of a text for an embedding: all of them, or what a limit leaves (api.md 8.1). Pure; both
 * engines use it.
 */
import { ContextOverflowError, InvalidRequestError } from "../errors.ts";
import type { EmbedOptions } from "./engine.ts";

/** What a model's tokenizer does. */
export interface TextTokenizer {
  /** `addSpecial` puts tokens that begin and end a text where the tokenizer wants them. */
  tokenize(text: string, addSpecial: boolean): readonly number[] | Int32Array;
  detokenize(tokens: readonly number[] | Int32Array): string;
}

/** What is left of a text. */
export interface EmbedTokens {
  readonly tokens: readonly number[] | Int32Array;
  /** How many were cut off. */
  readonly cut: number;
}

/** Tokens that begin and end a text, for which a cut leaves room. */
const frame = 2;

/**
 * What is kept of a longer text goes through text once more, as in Ollama, and is cut again should it
 * have grown.
 *
 * @throws ContextOverflowError when a text is longer than the limit and must not be cut
 * @throws InvalidRequestError when the limit leaves nothing, or the text has no tokens at all
 */
export function embedTokens(
  tokenizer: TextTokenizer,
  text: string,
  { limit, truncate }: Pick<EmbedOptions, "limit" | "truncate">,
): EmbedTokens {
  const whole = tokenizer.tokenize(text, true);
  if (whole.length === 0) throw new InvalidRequestError("an input has no tokens");
  if (whole.length <= limit) return { tokens: whole, cut: 0 };
  const plain = tokenizer.tokenize(text, false);
  const left = (tokens: readonly number[] | Int32Array) => ({
    tokens,
    cut: Math.max(0, whole.length - tokens.length),
  });
  if (plain.length <= limit) return left(whole.slice(0, limit));
  if (!truncate) {
    throw new ContextOverflowError(
      "the input length exceeds the context length",
      plain.length,
      limit,
    );
  }
  if (limit <= frame) {
    throw new InvalidRequestError("input after truncation exceeds maximum context length");
  }
  const kept = tokenizer.detokenize(plain.slice(0, limit - frame));
  return left(tokenizer.tokenize(kept, true).slice(0, limit));
}
