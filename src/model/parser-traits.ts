/**
 * What the built-in output parsers that a model may name can read (output-parsing.md 5). The parsers
 * themselves stand in `chat/parsers`; a test holds the two together.
 */

export interface ParserTraits {
  readonly tools: boolean;
  readonly thinking: boolean;
}

const both = `cogito cohere deepseek3 gemma4 glimmer glm-4.7 harmony laguna lfm2-thinking
  nemotron-3-nano nemotron-3.5-nano ornith poolside-v1 qwen3-thinking qwen3-vl-thinking qwen3.5`;
const toolsOnly = `functiongemma gemma4-no-thinking glm-ocr lfm2 ministral olmo3 qwen3 qwen3-coder
  qwen3-vl-instruct`;
const thinkingOnly = "olmo3-think";
const neither = "passthrough";

const words = (text: string) => text.split(/\s+/);

export const parserTraits: ReadonlyMap<string, ParserTraits> = new Map<string, ParserTraits>([
  ...words(both).map((name) => [name, { tools: true, thinking: true }] as const),
  ...words(toolsOnly).map((name) => [name, { tools: true, thinking: false }] as const),
  ...words(thinkingOnly).map((name) => [name, { tools: false, thinking: true }] as const),
  ...words(neither).map((name) => [name, { tools: false, thinking: false }] as const),
]);
