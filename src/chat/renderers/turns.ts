/** What several renderers need: positions in a conversation, markers of images, values as bare text. */
import { goNumber } from "../../model/gojson.ts";
import { printValue } from "../gotemplate/print.ts";
import type { ChatMessage, Conversation } from "../messages.ts";
import { jsonText, sorted } from "./json.ts";

/** Makes the prompt of a conversation. Throws `InvalidRequestError` where the format cannot hold it. */
export type Renderer = (conversation: Conversation) => string;

/** Counts images through a conversation and writes their markers. */
export class ImageMarkers {
  #next = 0;

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

/** The same with numbers written plainly. */
export function plainValue(value: unknown): string {
  return typeof value === "number" ? goNumber(value) : bareValue(value);
}

/** Thinking that a message's content carries in tags: what stands inside, and what follows. */
export function splitInline(message: ChatMessage): { thinking: string; content: string } {
  const given = message.thinking ?? "";
  const end = message.content.indexOf("</think>");
  if (end < 0) return { thinking: given, content: message.content };
  const before = message.content.slice(0, end);
  const start = before.lastIndexOf("<think>");
  const inline = start < 0 ? before : before.slice(start + "<think>".length);
  const content = message.content.slice(
    message.content.lastIndexOf("</think>") + "</think>".length,
  );
  return { thinking: given || inline, content };
}
