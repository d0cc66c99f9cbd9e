/**
 * What the parsers of a model's output have in common: text goes in piece by piece, and thinking,
 * content and tool calls come out as soon as they are certain (output-parsing.md).
 */
import { AppError } from "../errors.ts";
import type { ChatMessage, ThinkWish, Tool } from "./messages.ts";

/** A call as a model wrote it. Ids and indexes are given where calls are sent. */
export interface ParsedCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** What one step yields; empty where the text so far is ambiguous. */
export interface Output {
  readonly content: string;
  readonly thinking: string;
  readonly calls: readonly ParsedCall[];
}

export interface OutputParser {
  /**
   * Takes the next piece of text. `last` says that nothing follows: what was held back comes out,
   * or is dropped where the format says so. Throws `OutputParseError` for text that breaks the format.
   */
  add(text: string, last: boolean): Output;
}

/** What a parser must know of the request. */
export interface ParserSetup {
  readonly tools: readonly Tool[];
  /** Undefined when the request said nothing. */
  readonly think: ThinkWish | undefined;
  /** The request's last message: an assistant's is a prefill. */
  readonly lastMessage: ChatMessage | undefined;
}

/** A model wrote a tool call that cannot be read. */
export class OutputParseError extends AppError {
  readonly code = "engine";
  /** What the same step gave before the error, where the format keeps it. */
  before: Output = nothing;
}

export const nothing: Output = { content: "", thinking: "", calls: [] };

/** The last message opens the answer: the model goes on with its content. */
export function isPrefill(message: ChatMessage | undefined): boolean {
  return message?.role === "assistant" && message.content !== "";
}

/** Length of the longest proper beginning of one of `marks` that `text` ends with. */
export function partialMark(text: string, marks: readonly string[]): number {
  let longest = 0;
  for (const mark of marks) {
    for (let length = Math.min(mark.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(mark.slice(0, length))) longest = length;
    }
  }
  return longest;
}

/** The first of `marks` in `text`, the longest where several begin at one place. */
export function firstMark(
  text: string,
  marks: readonly string[],
): { at: number; mark: string } | undefined {
  let found: { at: number; mark: string } | undefined;
  for (const mark of marks) {
    const at = text.indexOf(mark);
    if (at < 0) continue;
    if (
      found === undefined ||
      at < found.at ||
      (at === found.at && mark.length > found.mark.length)
    ) {
      found = { at, mark };
    }
  }
  return found;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A JSON object, or undefined for anything else. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * End (exclusive) of the bracket that opens at `start`, minding double-quoted strings and escapes;
 * -1 when it stays open.
 */
export function balancedEnd(text: string, start: number): number {
  const open = text[start] ?? "";
  const close = open === "{" ? "}" : "]";
  let depth = 0;
  let quoted = false;
  for (let at = start; at < text.length; at++) {
    const character = text[at];
    if (quoted) {
      if (character === "\\") at++;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === open) depth++;
    else if (character === close && --depth === 0) return at + 1;
  }
  return -1;
}

/** Places of the objects in a text that need not be JSON; brackets in its strings do not count. */
export function* topObjects(text: string): Generator<{ start: number; end: number }> {
  let depth = 0;
  let start = 0;
  let quoted = false;
  for (const { 0: sign, index } of text.matchAll(/\\[\s\S]|["{}]/g)) {
    if (sign === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (sign === "{" && depth++ === 0) start = index;
    else if (sign === "}" && depth > 0 && --depth === 0) yield { start, end: index + 1 };
  }
}
