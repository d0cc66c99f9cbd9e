/**
 * Where an answer begins in the text of a model that thinks first: the constraint holds from there, and
 * that part is what is judged.
 */
import type { ConstraintUse } from "../engine/engine.ts";

export type ThinkingSpan = NonNullable<ConstraintUse["thinking"]>;

interface Marks {
  readonly open: string;
  readonly close: string;
  /** The output begins inside, whatever the prompt says. */
  readonly inside?: boolean;
  /** What a prompt may write behind the opening. */
  readonly label?: string;
}

const common: Marks = { open: "<think>", close: "</think>" };
const inside: Marks = { ...common, inside: true };

/** Marks of the output formats with a parser of their own (output-parsing.md 5). */
const marks: Readonly<Record<string, Marks>> = {
  harmony: { open: "<|channel|>", close: "<|channel|>final<|message|>", inside: true },
  cohere: { open: "<|START_THINKING|>", close: "<|START_RESPONSE|>", inside: true },
  gemma4: { open: "<|channel>", close: "<channel|>", label: "thought" },
  ministral: { open: "[THINK]", close: "[/THINK]" },
  deepseek3: inside,
  cogito: inside,
  laguna: inside,
  "poolside-v1": inside,
  "olmo3-think": inside,
  "qwen3-thinking": inside,
  "qwen3-vl-thinking": inside,
  "qwen3.5": inside,
  ornith: inside,
  "nemotron-3-nano": inside,
  "nemotron-3.5-nano": inside,
};

/**
 * @param parser name of the model's built-in parser; undefined when it has none
 * @param tags thinking tags of the model's template; undefined when it has none
 * @param prompt text of the prompt, which may have opened the thinking
 */
export function thinkingSpan(
  parser: string | undefined,
  tags: { readonly open: string; readonly close: string } | undefined,
  prompt: string,
): ThinkingSpan | undefined {
  const found: Marks | undefined = parser === undefined ? tags : (marks[parser] ?? common);
  if (found === undefined) return undefined;
  const { open, close, inside = false, label = "" } = found;
  const end = prompt.trimEnd();
  return { open, close, opened: inside || end.endsWith(open) || end.endsWith(`${open}${label}`) };
}

/** The part of a model's text that its constraint is about. */
export function constrainedPart(text: string, thinking: ThinkingSpan | undefined): string {
  if (thinking === undefined) return text;
  const { open, close, opened } = thinking;
  if (!opened && !text.trimStart().startsWith(open)) return text;
  const at = text.indexOf(close, opened ? 0 : text.indexOf(open) + open.length);
  return at < 0 ? "" : text.slice(at + close.length);
}
