/** The parsers that a stored model may name (output-parsing.md 5). */
import type { OutputParser, ParserSetup } from "../output.ts";
import { passthrough } from "./passthrough.ts";
import { qwen3, qwen3Coder, qwen3Thinking, qwen3VlInstruct, qwen3VlThinking, qwen35 } from "./qwen.ts";

export interface NamedParser {
  /** Reads tool calls. */
  readonly tools: boolean;
  /** Separates thinking. */
  readonly thinking: boolean;
  /** Special tokens that must be visible in the text. */
  readonly preserved: readonly string[];
  create(setup: ParserSetup): OutputParser;
}

const parsers: Readonly<Record<string, NamedParser>> = {
  "nemotron-3-nano": qwen35,
  "nemotron-3.5-nano": qwen35,
  ornith: qwen35,
  passthrough,
  qwen3,
  "qwen3-coder": qwen3Coder,
  "qwen3-thinking": qwen3Thinking,
  "qwen3-vl-instruct": qwen3VlInstruct,
  "qwen3-vl-thinking": qwen3VlThinking,
  "qwen3.5": qwen35,
};

/** Undefined for a name that stands for no parser. */
export function parserNamed(name: string): NamedParser | undefined {
  return Object.hasOwn(parsers, name) ? parsers[name] : undefined;
}
