/**
 * Laguna and Poolside: calls as GLM's, or as JSON inside the same marks or without any; thinking that
 * is not wanted is dropped (output-parsing.md 5).
 */
import type { Tool } from "../messages.ts";
import {
  balancedEnd,
  isObject,
  OutputParseError,
  type ParsedCall,
  type ParserSetup,
  parseObject,
} from "../output.ts";
import { glmCall } from "./glm.ts";
import { MarkedParser, type Section, type SectionResult } from "./marked.ts";
import type { NamedParser } from "./table.ts";

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

function jsonForm(text: string): ParsedCall | undefined {
  const value = parseObject(text);
  if (value === undefined || typeof value.name !== "string") return undefined;
  return { name: value.name, arguments: isObject(value.arguments) ? value.arguments : {} };
}

/** `name{json}` */
function shortForm(text: string): ParsedCall | undefined {
  const at = text.indexOf("{");
  const values = at > 0 ? parseObject(text.slice(at)) : undefined;
  return values === undefined ? undefined : { name: text.slice(0, at).trim(), arguments: values };
}

function readCall(body: string, tools: readonly Tool[]): SectionResult {
  const text = body.trim();
  const call = jsonForm(text) ?? shortForm(text) ?? glmCall(body, tools);
  if (call.name === "") throw new OutputParseError("empty Laguna tool call name");
  return { calls: [renamed(call, tools)] };
}

function marked(open: string, close: string, tools: readonly Tool[]): Section {
  return {
    open,
    close,
    read: (body) => readCall(body, tools),
    readOpen: (body) => readCall(body.replace(/\s*<[/a-z_]*$/, ""), tools),
  };
}

/** A call as bare JSON; an object that is none stays text. */
function bare(open: string, tools: readonly Tool[]): Section {
  const read = (body: string): SectionResult => {
    const call = jsonForm(open + body);
    if (call !== undefined && declared(tools, renamed(call, tools).name)) {
      return { calls: [renamed(call, tools)] };
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
      marked("<tool_call>", "</tool_call>", tools),
      marked("<user>", "</user>", tools),
      ...bareOpenings.map((open) => bare(open, tools)),
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
      : { ...thinking, endedBy: [], starts: "anywhere", repeats: true, dropped: true },
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
