/** A request's prompt in tokens and media, with the token that begins a text where it belongs. Pure. */
import type { PromptPart, TextPart } from "../engine.ts";

type MediaPart = Exclude<PromptPart, TextPart>;

/**
 * @param tokens tokens of texts side by side, or a promise of them; `first`: they begin the prompt
 * @returns tokens of the texts, as far as they stand side by side, and media between them
 */
export function promptParts<T>(
  prompt: readonly PromptPart[],
  tokens: (texts: readonly TextPart[], first: boolean) => T,
): (T | MediaPart)[] {
  const parts: (T | MediaPart)[] = [];
  let texts: TextPart[] = [];
  const flush = () => {
    if (texts.length > 0 || parts.length === 0) parts.push(tokens(texts, parts.length === 0));
    texts = [];
  };
  for (const part of prompt) {
    if ("media" in part) {
      flush();
      parts.push(part);
    } else texts.push(part);
  }
  flush();
  return parts;
}
