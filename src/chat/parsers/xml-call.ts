/**
 * A call as `<function=name><parameter=key>value</parameter>..</function>` (syntax B of
 * output-parsing.md 5). Values are literal: markup and entities inside them mean nothing.
 */
import type { Tool } from "../messages.ts";
import { OutputParseError, type ParsedCall } from "../output.ts";
import { propertiesOf, typedValue } from "./typed.ts";

function lineOf(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}

/** @throws OutputParseError for missing tags */
export function xmlCall(text: string, tools: readonly Tool[]): ParsedCall {
  const opening = /<function=([^>]*)>/.exec(text);
  if (opening === null) throw new OutputParseError("EOF");
  const name = (opening[1] ?? "").trim();
  const fail = (at: number, reason: string): never => {
    throw new OutputParseError(`XML syntax error on line ${lineOf(text, at)}: ${reason}`);
  };
  if (name === "") fail(opening.index, "function without a name");
  const properties = propertiesOf(tools, name);
  const values: Record<string, unknown> = {};
  let at = opening.index + opening[0].length;
  const end = text.indexOf("</function>", at);
  for (;;) {
    const start = text.indexOf("<parameter=", at);
    if (start < 0) break;
    const tagEnd = text.indexOf(">", start);
    const close = tagEnd < 0 ? -1 : text.indexOf("</parameter>", tagEnd);
    if (close < 0) fail(start, "element <parameter> is not closed");
    if (text.slice(tagEnd + 1, close).includes("<parameter=")) {
      fail(close, "element <parameter> is not closed");
    }
    const key = text.slice(start + "<parameter=".length, tagEnd).trim();
    const value = text
      .slice(tagEnd + 1, close)
      .replace(/^\n/, "")
      .replace(/\n$/, "");
    values[key] = typedValue(value, properties[key]);
    at = close + "</parameter>".length;
  }
  if (end < 0 || text.indexOf("</function>", at) < 0)
    fail(text.length, "element <function> is not closed");
  return { name, arguments: values };
}
