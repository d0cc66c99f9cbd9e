/** FunctionGemma: `<start_function_call>call:name{key:<escape>text<escape>,n:1}<end_function_call>`. */
import type { ParsedCall } from "../output.ts";
import { MarkedParser } from "./marked.ts";
import type { NamedParser } from "./table.ts";

const quote = "<escape>";

/** Parts between commas that stand in no string, list or object. */
function split(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    if (text.startsWith(quote, at)) {
      const end = text.indexOf(quote, at + quote.length);
      if (end >= 0) at = end + quote.length - 1;
    } else if ("{[".includes(text[at] ?? "x")) depth++;
    else if ("}]".includes(text[at] ?? "x")) depth--;
    else if (text[at] === "," && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(text.slice(start));
  return parts.filter((part) => part.trim() !== "");
}

function readValue(text: string): unknown {
  const bare = text.trim();
  if (bare.startsWith(quote) && bare.endsWith(quote) && bare.length >= 2 * quote.length) {
    return bare.slice(quote.length, -quote.length);
  }
  if (bare === "true" || bare === "false") return bare === "true";
  if (/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(bare)) return Number(bare);
  if (bare.startsWith("[") && bare.endsWith("]")) return split(bare.slice(1, -1)).map(readValue);
  if (bare.startsWith("{") && bare.endsWith("}")) return members(bare.slice(1, -1));
  return bare;
}

/** Blanks around keys belong to them. */
function members(text: string): Record<string, unknown> {
  const entries = split(text).flatMap((part): [string, unknown][] => {
    const colon = part.indexOf(":");
    return colon < 0 ? [] : [[part.slice(0, colon), readValue(part.slice(colon + 1))]];
  });
  return Object.fromEntries(entries);
}

/** Text that is no call makes one without a name. */
function readCall(body: string): ParsedCall {
  const found = /call:([^{]+)\{([\s\S]*)\}/.exec(body);
  const [, name = "", values = ""] = found ?? [];
  return { name, arguments: members(values) };
}

export const functiongemma: NamedParser = {
  tools: true,
  thinking: false,
  preserved: ["<start_function_call>", "<end_function_call>", quote],
  create: () =>
    new MarkedParser({
      sections: [
        {
          open: "<start_function_call>",
          close: "<end_function_call>",
          read: (body) => ({ calls: [readCall(body)] }),
        },
      ],
      contentEnd: "marks vanish",
      keepsSpaceBeforeSection: true,
      keepsSpaceAfterSection: true,
    }),
};
