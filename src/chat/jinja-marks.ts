/**
 * What a GGUF's Jinja template shows about the texts that its model writes (output-parsing.md 1, row 4;
 * template.md 12): the tags of thinking, and which syntax its tool calls have. The template is not run
 * for this: each syntax has texts that no other has.
 */
import type { ThinkTags } from "./thinking.ts";

export interface JinjaMarks {
  readonly thinking: ThinkTags | undefined;
  /** The built-in parser that reads the tool calls; undefined: JSON behind `toolTag`. */
  readonly parser: string | undefined;
  /** Text before tool calls, `{` when the template shows none. */
  readonly toolTag: string;
}

const thinkingTags: readonly ThinkTags[] = [
  { open: "<think>", close: "</think>" },
  { open: "[THINK]", close: "[/THINK]" },
  { open: "<seed:think>", close: "</seed:think>" },
];

/** Texts that a template has, all of them, and the parser of its syntax; the first that fits counts. */
const parsers: readonly (readonly [parser: string, ...texts: string[]])[] = [
  ["harmony", "<|channel|>", "<|message|>", "<|start|>"],
  ["qwen3-coder", "<tool_call>", "<function=", "<parameter="],
  ["glm-4.7", "<tool_call>", "<arg_key>"],
  ["cogito", "<｜tool▁calls▁begin｜>", "<｜tool▁sep｜>", "```json"],
  ["deepseek3", "<｜tool▁calls▁begin｜>", "<｜tool▁sep｜>"],
  ["ministral", "[TOOL_CALLS]", "[ARGS]"],
  ["cohere", "<|START_ACTION|>", "tool_call_id"],
  ["olmo3", "<function_calls>"],
  ["lfm2", "<|tool_call_start|>"],
  ["functiongemma", "<start_function_call>"],
  ["gemma4", "<|tool_call>", "<tool_call|>"],
];

/** Texts before calls that are JSON. */
const tags = ["<tool_call>", "[TOOL_CALLS]", "<|tool_call|>", "functools", "<TOOLCALL>"];

export function jinjaMarks(template: string): JinjaMarks {
  const has = (text: string) => template.includes(text);
  return {
    thinking: thinkingTags.find(({ open, close }) => has(open) && has(close)),
    parser: parsers.find(([, ...texts]) => texts.every(has))?.[0],
    toolTag: tags.find(has) ?? "{",
  };
}
