/** What splits a model's text into thinking, content and tool calls for one request (api.md 7.1, 7.2). */
import { type JinjaMarks, jinjaMarks } from "../../chat/jinja-marks.ts";
import type { ChatMessage, ThinkWish, Tool } from "../../chat/messages.ts";
import { nothing, type Output, type OutputParser } from "../../chat/output.ts";
import { parserNamed } from "../../chat/parsers/table.ts";
import { thinkTagsOf, toolTagOf } from "../../chat/template-marks.ts";
import { ThinkingSplitter, type ThinkTags } from "../../chat/thinking.ts";
import { ToolSplitter } from "../../chat/tools.ts";
import { chooseTemplate, parserOf } from "../../model/capabilities.ts";
import type { StoredModel } from "../../model/model.ts";
import { type CallSyntax, callSyntax } from "../../schema/calls/syntax.ts";
import { type ThinkingSpan, thinkingSpan } from "../../schema/thinking.ts";

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
    return {
      thinking: outer.thinking + inner.thinking,
      content: inner.content,
      calls: inner.calls,
    };
  }
}

const plain: OutputParser = { add: (content) => ({ ...nothing, content }) };

/** What of a request decides how the answer is read. */
export interface OutputWish {
  /** The prompt goes as it is: the answer too. */
  readonly raw: boolean;
  readonly think: ThinkWish | undefined;
  readonly tools: readonly Tool[];
  /** The request's last message: an assistant's is a prefill. */
  readonly lastMessage: ChatMessage | undefined;
  /** The rendered prompt: it may open the thinking. */
  readonly prompt: string;
}

export interface OutputReader {
  readonly parser: OutputParser;
  /** Special tokens that must be visible to it. */
  readonly visible: readonly string[];
  /** Read by the two tags of a template rather than by a named parser. */
  readonly generic: boolean;
  /** What the model writes before its answer. */
  readonly thinking?: ThinkingSpan | undefined;
  /** Tools, and how the model writes calls of them, where that is known for sure. */
  readonly calls?: { readonly syntax: CallSyntax; readonly tools: readonly Tool[] } | undefined;
}

function marksOf(model: StoredModel, goTemplate: boolean | undefined): JinjaMarks {
  const { template, gguf } = model;
  if (chooseTemplate(model, goTemplate) === "jinja") {
    return jinjaMarks(gguf?.facts.chatTemplate ?? "");
  }
  if (template === undefined) return { thinking: undefined, parser: undefined, toolTag: "{" };
  return { thinking: thinkTagsOf(template), parser: undefined, toolTag: toolTagOf(template) };
}

/** Tags between which the model's template puts thinking; undefined when it has none. */
export function thinkTagsOfModel(
  model: StoredModel,
  goTemplate: boolean | undefined,
): ThinkTags | undefined {
  return marksOf(model, goTemplate).thinking;
}

/** The bracketed word that a tag begins with may be a special token. */
function leadingToken(tag: string): string[] {
  return /^(?:\[[^\]]+\]|<[^>]+>)/.exec(tag)?.slice(0, 1) ?? [];
}

/** What reads the answer of a model to a request. @param goTemplate the variable GO_TEMPLATE */
export function outputReader(
  model: StoredModel,
  goTemplate: boolean | undefined,
  wish: OutputWish,
): OutputReader {
  if (wish.raw) return { parser: plain, visible: [], generic: false };
  const name = parserOf(model);
  const named = parserNamed(name ?? "");
  if (named !== undefined) {
    return {
      parser: named.create(wish),
      visible: named.preserved,
      generic: false,
      thinking: named.thinking ? spanOf(name, undefined, wish) : undefined,
      calls: callsOf(callSyntax(name, "", ""), wish),
    };
  }
  const marks = marksOf(model, goTemplate);
  const jinja = chooseTemplate(model, goTemplate) === "jinja";
  const template = (jinja ? model.gguf?.facts.chatTemplate : model.template) ?? "";
  return {
    ...genericReader(marks, wish),
    thinking: spanOf(marks.parser === "harmony" ? "harmony" : undefined, marks.thinking, wish),
    calls: callsOf(callSyntax(marks.parser, marks.toolTag, template), wish),
  };
}

function spanOf(
  parser: string | undefined,
  tags: ThinkTags | undefined,
  { think, prompt }: OutputWish,
): ThinkingSpan | undefined {
  return think?.on ? thinkingSpan(parser, tags, prompt) : undefined;
}

function callsOf(syntax: CallSyntax | undefined, { tools }: OutputWish): OutputReader["calls"] {
  return syntax === undefined || tools.length === 0 ? undefined : { syntax, tools };
}

function genericReader(marks: JinjaMarks, wish: OutputWish): OutputReader {
  const visible: string[] = [];
  const stages: OutputParser[] = [];
  // Harmony's channels are thinking and calls in one.
  const thinking = marks.parser === "harmony" ? undefined : marks.thinking;
  if (wish.think?.on && thinking !== undefined) {
    const opens = wish.prompt.trimEnd().endsWith(thinking.open);
    stages.push(new ThinkingSplitter(thinking, opens));
    visible.push(thinking.open, thinking.close);
  }
  const parser = parserNamed(marks.parser ?? "");
  if (parser !== undefined && (wish.tools.length > 0 || marks.parser === "harmony")) {
    // The splitter before it has taken the thinking out.
    const rest = { ...wish, think: marks.parser === "harmony" ? wish.think : thinkingOff };
    stages.push(parser.create(rest));
    visible.push(...parser.preserved);
  } else if (wish.tools.length > 0) {
    stages.push(new ToolSplitter(wish.tools, marks.toolTag));
    visible.push(...leadingToken(marks.toolTag));
  }
  const [first = plain, second] = stages;
  return {
    parser: second === undefined ? first : new Chain(first, second),
    visible,
    generic: true,
  };
}

const thinkingOff: ThinkWish = { on: false, level: "" };
