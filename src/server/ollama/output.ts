/** What splits a model's text into thinking, content and tool calls for one request (api.md 7.1, 7.2). */
import type { ChatMessage, Conversation, Tool } from "../../chat/messages.ts";
import { nothing, type Output, type OutputParser } from "../../chat/output.ts";
import { parserNamed } from "../../chat/parsers/table.ts";
import { ThinkingSplitter, type ThinkTags } from "../../chat/thinking.ts";
import { ToolSplitter } from "../../chat/tools.ts";

/** One splitter's content goes through the next. */
class Chain implements OutputParser {
  readonly #first: OutputParser;
  readonly #second: OutputParser;

  constructor(first: OutputParser, second: OutputParser) {
    this.#first = first;
    this.#second = second;
  }

  add(text: string, last: boolean): Output {
    const outer = this.#first.add(text, last);
    const inner = outer.content === "" && !last ? nothing : this.#second.add(outer.content, last);
    return { thinking: outer.thinking, content: inner.content, calls: inner.calls };
  }
}

const plain: OutputParser = { add: (content) => ({ ...nothing, content }) };

export interface OutputSetup {
  /** Name of the built-in parser that the model asks for; it does the rest alone. */
  readonly named: string | undefined;
  readonly think: Conversation["think"];
  /** The request's last message: an assistant's is a prefill. */
  readonly lastMessage: ChatMessage | undefined;
  /** Tags of a model whose thinking is on; undefined = text is not searched for thinking. */
  readonly thinkTags: ThinkTags | undefined;
  readonly prompt: string;
  readonly tools: readonly Tool[];
  /** Literal text that the template prints before tool calls. */
  readonly toolTag: string;
}

/** The literal text before `.ToolCalls` in a Go template; `{` when there is none. */
export function toolTagOf(template: string | undefined): string {
  if (template === undefined) return template === undefined ? "<tool_call>" : "{";
  const range = /\{\{-?\s*range[^}]*\.ToolCalls[^}]*\}\}([\s\S]*)/.exec(template);
  const inside = range?.[1] ?? "";
  const literal =
    inside
      .replace(/^(\s*\{\{-?[\s\S]*?-?\}\})*/, "")
      .split("{{")[0]
      ?.trim() ?? "";
  return literal.split("\n")[0]?.trim() || "{";
}

export function outputParser(setup: OutputSetup): OutputParser {
  const named = parserNamed(setup.named ?? "");
  if (named !== undefined) return named.create(setup);
  const tools = setup.tools.length > 0 ? new ToolSplitter(setup.tools, setup.toolTag) : undefined;
  const { thinkTags } = setup;
  const opens = thinkTags !== undefined && setup.prompt.trimEnd().endsWith(thinkTags.open);
  const thinking = thinkTags === undefined ? undefined : new ThinkingSplitter(thinkTags, opens);
  if (thinking !== undefined && tools !== undefined) return new Chain(thinking, tools);
  return thinking ?? tools ?? plain;
}
