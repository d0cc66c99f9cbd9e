/**
 * Laguna and Poolside: calls as GLM's, or as JSON inside the same marks or without any; thinking that
 * is not wanted is dropped (output-parsing.md 5).
 */
import type { Tool } from "../messages.ts";
import { balancedEnd, OutputParseError, type ParsedCall, type ParserSetup } from "../output.ts";
import { jsonCall, jsonObject } from "./json-call.ts";
import { MarkedParser, type Section, type SectionResult } from "./marked.ts";
import type { NamedParser } from "./table.ts";
import { parameterValue, propertiesOf } from "./typed.ts";

/** Names that the models were trained on, and what clients call the same tool. */
const aliases: Readonly<Record<string, string>> = {
  read_file: "read",
  write_file: "write",
  edit_file: "edit",
  web_fetch: "webfetch",
};

function declared(tools: readonly Tool[], name: string): boolean {
  return tools.some((tool) => tool.function.name === name);
}

function renamed(call: ParsedCall, tools: readonly Tool[]): ParsedCall {
  const alias = aliases[call.name];
  if (alias === undefined || declared(tools, call.name) || !declared(tools, alias)) return call;
  return { ...call, name: alias };
}

const failed = "failed to parse Laguna JSON tool call";

function jsonForm(text: string): ParsedCall {
  return jsonCall(text, { failed, nameless: "empty Laguna tool call name" });
}

/** Pairs of keys and values; what stands between them is passed over. */
const pair = /<arg_key>([\s\S]*?)<\/arg_key>\s*<arg_value>([\s\S]*?)<\/arg_value>/g;

/** What is left of a body when a further opening mark stands in it: what stands before, if anything. */
function withoutMarks(body: string): string {
  const parts = body.split("<tool_call>").map((part) => part.trim());
  return parts.find((part) => part !== "") ?? "";
}

/** `name`, `name<arg_key>..`, `name{json}` or a JSON object. */
function callOf(body: string, tools: readonly Tool[]): ParsedCall {
  const text = withoutMarks(body);
  if (text.startsWith("{")) return renamed(jsonForm(text), tools);
  const pairs = text.indexOf("<arg_key>");
  const end = pairs >= 0 ? pairs : text.indexOf("{");
  const rest = end < 0 ? "" : text.slice(end);
  const { name } = renamed(
    { name: (end < 0 ? text : text.slice(0, end)).trim(), arguments: {} },
    tools,
  );
  if (rest.startsWith("{")) return { name, arguments: jsonObject(rest, `${failed} arguments`) };
  const properties = propertiesOf(tools, name);
  const entries = Array.from(rest.matchAll(pair), ([, key = "", value = ""]) => [
    key.trim(),
    parameterValue(value, properties[key.trim()]),
  ]);
  return { name, arguments: Object.fromEntries(entries) };
}

function marked(tools: readonly Tool[]): Section {
  return {
    open: "<tool_call>",
    close: "</tool_call>",
    read: (body) => ({ calls: [callOf(body, tools)] }),
    readOpen: (body) => {
      const whole = body.replace(/\s*<[/a-z_]*$/, "");
      return body.trim() === "" ? {} : { calls: [callOf(whole, tools)] };
    },
  };
}

/** A call that the model wrapped as if the user had said it; text that is none stays. */
function wrapped(tools: readonly Tool[]): Section {
  const text = (body: string): SectionResult => ({ content: body, isText: true });
  return {
    open: "<user>",
    close: "</user>",
    read: (body) => {
      try {
        const call = callOf(body.split("</tool_call>")[0] ?? "", tools);
        if (declared(tools, call.name)) return { calls: [call] };
      } catch (error) {
        if (!(error instanceof OutputParseError)) throw error;
      }
      return text(`<user>${body}</user>`);
    },
    readOpen: (body) => text(`<user>${body}`),
  };
}

/** A call as bare JSON; an object that is none stays text. */
function bare(open: string, tools: readonly Tool[]): Section {
  const read = (body: string): SectionResult => {
    try {
      const call = renamed(jsonForm(open + body), tools);
      if (declared(tools, call.name)) return { calls: [call] };
    } catch (error) {
      if (!(error instanceof OutputParseError)) throw error;
    }
    return { content: open + body, isText: true };
  };
  return {
    open,
    close: (held) => {
      const end = balancedEnd(open + held, 0);
      return end < 0 ? undefined : end - open.length;
    },
    read,
    readOpen: read,
  };
}

const bareOpenings = ['{"name"', '{ "name"', '{\n"name"', '{\n  "name"'];

function parser({ tools }: ParserSetup, thinks: boolean) {
  const thinking = { open: "<think>", close: "</think>" };
  return new MarkedParser({
    sections: [
      marked(tools),
      ...(tools.length > 0 ? [wrapped(tools)] : []),
      ...(tools.length > 0 ? bareOpenings.map((open) => bare(open, tools)) : []),
    ],
    contentEnd: "space vanishes",
    trimsStart: true,
    stray: ["</think>"],
    thinking: thinks
      ? {
          ...thinking,
          endedBy: ["<tool_call>"],
          starts: "inside",
          keepsLeadingSpace: true,
          repeats: true,
        }
      : {
          ...thinking,
          endedBy: ["<tool_call>"],
          starts: "anywhere",
          repeats: true,
          dropped: true,
        },
  });
}

const base = {
  tools: true,
  thinking: true,
  preserved: [
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<user>",
    "</user>",
    "<arg_key>",
    "</arg_key>",
    "<arg_value>",
    "</arg_value>",
  ],
} as const;

export const laguna: NamedParser = {
  ...base,
  create: (setup) =>
    parser(setup, setup.think?.on === true && setup.lastMessage?.role !== "assistant"),
};

export const poolside: NamedParser = {
  ...base,
  create: (setup) => parser(setup, setup.think?.on === true),
};
