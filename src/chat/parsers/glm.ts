/** GLM: `<tool_call>name<arg_key>k</arg_key><arg_value>v</arg_value>..</tool_call>`. */
import type { Tool } from "../messages.ts";
import { OutputParseError, type ParsedCall } from "../output.ts";
import { type Layout, MarkedParser, type Section } from "./marked.ts";
import type { NamedParser } from "./table.ts";
import { propertiesOf, typedValue } from "./typed.ts";

const cycle = ["<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"] as const;

interface RawCall {
  name: string;
  keys: string[];
  values: string[];
  /** A tag was missing at the end. */
  open: boolean;
}

/** Reads tags in their order; one that is missing is taken to stand where the next one was found. */
function readTags(body: string): RawCall {
  const raw: RawCall = { name: "", keys: [], values: [], open: false };
  let expected = 0;
  let at = 0;
  let text = "";
  const first = /<\/?arg_(?:key|value)>/.exec(body);
  const head = body.slice(0, first?.index ?? body.length);
  raw.name = head.trim();
  at = head.length;
  // `name key</arg_key>`: the opening mark was swallowed together with the line break.
  if (first?.[0] === cycle[1]) {
    const words = raw.name.split(/\s+/);
    raw.name = words[0] ?? "";
    text = words.slice(1).join(" ");
    expected = 1;
  }
  const pass = () => {
    if (expected === 1) raw.keys.push(text.trim());
    if (expected === 3) raw.values.push(text.replace(/^\n/, "").replace(/\n$/, ""));
    text = "";
    expected = (expected + 1) % cycle.length;
  };
  for (const tag of body.matchAll(/<\/?arg_(?:key|value)>/g)) {
    text += body.slice(at, tag.index);
    at = tag.index + tag[0].length;
    const found = cycle.indexOf(tag[0] as (typeof cycle)[number]);
    if (found === 0 && expected === 2) {
      // A second key instead of a value: nothing can be made of that.
      expected = 0;
      text = "";
    }
    while (expected !== found) pass();
    if (found % 2 === 0) text = "";
    pass();
  }
  raw.open = expected !== 0;
  if (expected === 3 || expected === 1) {
    text += body.slice(at);
    pass();
  }
  return raw;
}

export function glmCall(body: string, tools: readonly Tool[]): ParsedCall {
  const { name, keys, values } = readTags(body);
  if (name === "") throw new OutputParseError("empty function name");
  if (keys.length !== values.length) {
    throw new OutputParseError(
      `mismatched arg_key and arg_value counts: ${keys.length} keys, ${values.length} values`,
    );
  }
  const properties = propertiesOf(tools, name);
  const entries = keys.map((key, i) => [key, typedValue(values[i] ?? "", properties[key])]);
  return { name, arguments: Object.fromEntries(entries) };
}

/** A call that the end of the output cut off counts only when nothing is missing but its last mark. */
function cutCall(body: string, tools: readonly Tool[]): ParsedCall {
  const whole = body.replace(/<(?:\/(?:t(?:o(?:o(?:l(?:_(?:c(?:a(?:l(?:l)?)?)?)?)?)?)?)?)?)?$/, "");
  const { name, open } = readTags(whole);
  const fail = (reason: string): never => {
    throw new OutputParseError(`incomplete GLM tool call: ${reason}`);
  };
  const tool = tools.find((one) => one.function.name === name);
  if (tool === undefined) return fail(`tool "${name}" is not declared`);
  if (open) return fail("argument tags are incomplete");
  const call = glmCall(whole, tools);
  for (const required of tool.function.parameters?.required ?? []) {
    if (!(required in call.arguments)) {
      fail(`required argument "${required}" is missing for tool "${name}"`);
    }
  }
  return call;
}

function section(tools: readonly Tool[]): Section {
  return {
    open: "<tool_call>",
    close: "</tool_call>",
    read: (body) => ({ calls: [glmCall(body, tools)] }),
    readOpen: (body) => ({ calls: [cutCall(body, tools)] }),
  };
}

const preserved = ["<think>", "</think>", "<tool_call>", "</tool_call>", ...cycle];

export const glm47: NamedParser = {
  tools: true,
  thinking: true,
  preserved,
  create: ({ tools, think }) => {
    const layout: Layout = { sections: [section(tools)], contentEnd: "vanish" };
    const thinking = { open: "<think>", close: "</think>", endedBy: [] };
    return new MarkedParser({
      ...layout,
      thinking:
        think?.on === false
          ? { ...thinking, starts: "leading" }
          : { close: "</think>", endedBy: [], starts: "inside", keepsLeadingSpace: true },
    });
  },
};

export const glmOcr: NamedParser = {
  tools: true,
  thinking: false,
  preserved,
  create: ({ tools }) =>
    new MarkedParser({
      sections: [section(tools)],
      contentEnd: "vanish",
      thinking: { open: "<think>", close: "</think>", endedBy: [], starts: "leading" },
    }),
};
