/**
 * Gemma 4: `<|tool_call>call:name{key:<|"|>text<|"|>,n:1}<tool_call|>`, thinking in a channel of its own.
 * Calls that cannot be read are dropped.
 */
import type { Tool, ToolProperty } from "../messages.ts";
import { type ParsedCall, type ParserSetup, parseObject } from "../output.ts";
import { type Layout, MarkedParser, type SectionResult } from "./marked.ts";
import type { NamedParser } from "./table.ts";
import { propertiesOf } from "./typed.ts";

const quote = '<|"|>';

/** The arguments as JSON text: marked strings quoted, bare keys too. */
function toJson(text: string): string {
  const pieces = text.split(quote);
  return pieces
    .map((piece, i) =>
      i % 2 === 1
        ? JSON.stringify(piece)
        : // A bare key stands behind `{` or `,`; what is quoted already is passed over whole.
          piece.replace(
            /("(?:[^"\\]|\\.)*")|([{,]\s*)([\p{L}_$][\p{L}\p{N}_$.-]*)(\s*):/gu,
            (all, quoted, before, key, space) =>
              quoted === undefined ? `${before}${JSON.stringify(key)}${space}:` : all,
          ),
    )
    .join("");
}

function closed(text: string): string {
  return text.trimEnd().endsWith("}") ? text : `${text}}`;
}

/** A last value without quotes, where the schema wants a string. */
function quoteLastValue(
  text: string,
  properties: Readonly<Record<string, ToolProperty>>,
): string | undefined {
  const found =
    /^([\s\S]*[{,]\s*"?([\p{L}_$][\p{L}\p{N}_$.-]*)"?\s*:)\s*([^"'{}[\]<][^"{}[\]<]*?)\s*\}?\s*$/u.exec(
      text,
    );
  if (found === null) return undefined;
  const [, before = "", key = "", value = ""] = found;
  return properties[key]?.type === "string" ? `${before}${quote}${value}${quote}}` : undefined;
}

/** What models get wrong, each tried once. */
function repairs(text: string, properties: Readonly<Record<string, ToolProperty>>): string[] {
  const tries: string[] = [];
  if ((text.split(quote).length - 1) % 2 === 1) {
    tries.push(`${text.trimEnd().replace(/\}$/, "")}${quote}}`);
    tries.push(closed(`${text}${quote}`));
  }
  const single = text.replace(
    /'((?:[^'\\]|\\.)*)'/g,
    (_, body: string) => `${quote}${body}${quote}`,
  );
  if (single !== text) tries.push(closed(single));
  const raw = quoteLastValue(text, properties);
  if (raw !== undefined) tries.push(raw);
  return tries;
}

function readCall(body: string, tools: readonly Tool[]): ParsedCall | undefined {
  const found = /^\s*call:([^{]*)(\{[\s\S]*)$/.exec(body);
  if (found === null) return undefined;
  const [, name = "", text = ""] = found;
  const properties = propertiesOf(tools, name.trim());
  for (const attempt of [text, ...repairs(text, properties)]) {
    const values = parseObject(toJson(attempt));
    if (values !== undefined) return { name: name.trim(), arguments: values };
  }
  return undefined;
}

function layout({ tools, think, lastMessage }: ParserSetup, thinks: boolean): Layout {
  const on = thinks && think?.on === true;
  const read = (body: string): SectionResult => {
    const call = readCall(body, tools);
    return call === undefined ? {} : { calls: [call] };
  };
  return {
    sections: [{ open: "<|tool_call>", close: "<tool_call|>", read, readOpen: read }],
    contentEnd: "stay",
    ignored: ["<tool_call|>", "<|tool_response>"],
    thinking: {
      open: "<|channel>",
      close: "<channel|>",
      endedBy: [],
      // After a tool's result the model goes on thinking without opening the channel again.
      starts: on && lastMessage?.role === "tool" ? "inside" : "anywhere",
      keepsLeadingSpace: true,
      keepsEnd: true,
      repeats: true,
      label: "thought\n",
      dropped: !on,
    },
  };
}

const preserved = [
  "<|channel>",
  "<channel|>",
  "<|tool_call>",
  "<tool_call|>",
  "<|tool_response>",
  quote,
];

export const gemma4: NamedParser = {
  tools: true,
  thinking: true,
  preserved,
  create: (setup) => new MarkedParser(layout(setup, true)),
};

export const gemma4NoThinking: NamedParser = {
  tools: true,
  thinking: false,
  preserved,
  create: (setup) => new MarkedParser(layout(setup, false)),
};
