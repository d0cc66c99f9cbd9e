/** What several renderers need: positions in a conversation, markers of images, values as bare text. */
import { printValue } from "../gotemplate/print.ts";
import type { ChatMessage, Conversation } from "../messages.ts";
import { jsonText, sorted } from "./json.ts";

/** Makes the prompt of a conversation. Throws `InvalidRequestError` where the format cannot hold it. */
export type Renderer = (conversation: Conversation) => string;

/** Counts images through a conversation and writes their markers. */
export class ImageMarkers {
  #next = 0;

  /**
   * As built-in renderers have it: a text with markers of its own stays as it is, and a blank parts
   * markers in front from a text that begins with none.
   */
  spaced(message: ChatMessage): string {
    if (message.content.includes("[img-")) {
      this.#next += message.images?.length ?? 0;
      return message.content;
    }
    return this.mark(message, /^[^\s\ufffd]/u.test(message.content) ? " " : "");
  }

  /** Replaces each `[img]` in turn; the markers of further images go in front, `gap` behind them. */
  mark(message: ChatMessage, gap = ""): string {
    let { content } = message;
    let front = "";
    for (const _ of message.images ?? []) {
      const marker = `[img-${this.#next++}]`;
      if (content.includes("[img]")) content = content.replace("[img]", () => marker);
      else front += marker;
    }
    return front === "" ? content : `${front}${gap}${content}`;
  }
}

/** Index of the last message of a user, -1 for none. */
export function lastUser(messages: readonly ChatMessage[]): number {
  return messages.findLastIndex(({ role }) => role === "user");
}

/** A user's message that is not just what a tool answered. */
export function isQuery(message: ChatMessage): boolean {
  if (message.role !== "user") return false;
  const text = new ImageMarkers().spaced(message).trim();
  return !(text.startsWith("<tool_response>") && text.endsWith("</tool_response>"));
}

/** Index of the last question, of the last message where nobody asks. */
export function lastQuery(messages: readonly ChatMessage[]): number {
  const index = messages.findLastIndex(isQuery);
  return index < 0 ? messages.length - 1 : index;
}

/** The message opens the answer that the model is to go on with. */
export function opensAnswer(messages: readonly ChatMessage[], index: number): boolean {
  return index === messages.length - 1 && messages[index]?.role === "assistant";
}

/** An argument as it stands between tags: text bare, numbers as Go prints floats, the rest as JSON. */
export function bareValue(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return printValue(value);
  return jsonText(sorted(value));
}

/** A number whole where 64 bits hold it, else as Go prints floats. */
export function looseNumber(value: number): string {
  const whole = Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63;
  return whole ? BigInt(value).toString() : printValue(value);
}

/** The same with numbers as in JSON. */
export function plainValue(value: unknown): string {
  return typeof value === "number" ? jsonText(value) : bareValue(value);
}
