/**
 * Strict tools: where a model's calls have a form that a grammar expresses exactly, what follows the
 * opening tag is generated under the tools' own schemas. Text outside of calls stays free.
 */
import type { Tool } from "../chat/messages.ts";

export interface CallSyntax {
  /** Text after which a call is expected. */
  readonly tag: string;
  /** Counts at the beginning of the answer only: elsewhere it may be plain JSON. */
  readonly atStart: boolean;
  /** What stands between the tag and the tool's name: the rest of the object's opening. */
  readonly opening: "object" | "name";
  readonly argumentsKey: "arguments" | "parameters";
  /** The calls are items of a list. */
  readonly list: boolean;
  /** Text of the template after a call, "" = none. The model writes it freely: it may be one token. */
  readonly close: string;
}

const hermes: CallSyntax = {
  tag: "<tool_call>",
  atStart: false,
  opening: "object",
  argumentsKey: "arguments",
  list: false,
  close: "</tool_call>",
};
const mistral: CallSyntax = { ...hermes, tag: "[TOOL_CALLS]", list: true, close: "" };
const llama3: CallSyntax = {
  tag: '{"name": "',
  atStart: true,
  opening: "name",
  argumentsKey: "parameters",
  list: false,
  close: "",
};

/** Built-in parsers that read calls in the form of hermes. */
const hermesParsers = new Set([
  "qwen3",
  "qwen3-thinking",
  "qwen3-vl-instruct",
  "qwen3-vl-thinking",
]);

/**
 * How a model writes its calls; undefined when that is not known for sure.
 * @param parser name of the built-in parser; undefined when it has none
 * @param tag what the template writes before calls, `{` when nothing
 * @param template text of the template, Go or Jinja
 */
export function callSyntax(
  parser: string | undefined,
  tag: string,
  template: string,
): CallSyntax | undefined {
  if (parser !== undefined) return hermesParsers.has(parser) ? hermes : undefined;
  const inOrder = (key: string) => new RegExp(`\\{\\\\?"name\\\\?": .*\\\\?"${key}\\\\?": `, "s");
  const [byArguments, byParameters] = [inOrder("arguments"), inOrder("parameters")];
  if (tag === hermes.tag) {
    const known = template.includes(hermes.close) && byArguments.test(template);
    return known ? hermes : undefined;
  }
  if (tag === mistral.tag) return byArguments.test(template) ? mistral : undefined;
  if (tag === "{" && template.includes("<|start_header_id|>") && byParameters.test(template)) {
    return llama3;
  }
  return undefined;
}

/** Between tokens of the arguments, as everywhere (ffi/llguidance/src/schema.rs): no endless blanks. */
const blanks = "( |(\\r?\\n){1,2}[ \\t]{0,20})";

const quoted = (text: string) => JSON.stringify(text);

/** The schema of a tool's arguments as the engine takes it. */
function argumentSchema({ function: { parameters } }: Tool, lenient: boolean): string {
  const given = typeof parameters === "object" && parameters !== null ? parameters : {};
  const guidance = { lenient, whitespace_flexible: true, whitespace_pattern: blanks };
  return JSON.stringify({ type: "object", ...given, "x-guidance": guidance });
}

/**
 * A grammar of everything between the tag and the call's last bracket, and of anything behind it: the
 * token with the bracket may go on. Who uses it ends it as soon as the text is whole.
 * @param lenient accepts what the engine cannot express of a schema, instead of refusing it
 */
export function callGrammar(syntax: CallSyntax, tools: readonly Tool[], lenient: boolean): string {
  const named = tools.filter((tool) => tool.function.name !== "");
  const colon = 'w ":" w';
  const opening = syntax.opening === "object" ? `"{" w ${quoted('"name"')} ${colon} "\\"" ` : "";
  const calls = named.map((tool, i) => {
    const name = JSON.stringify(tool.function.name).slice(1);
    const key = quoted(`"${syntax.argumentsKey}"`);
    return `c${i}: ${opening}${quoted(name)} w "," w ${key} ${colon} a${i} w "}"`;
  });
  const call = named.map((_, i) => `c${i}`).join(" | ");
  const body = syntax.list ? 'w "[" w call (w "," w call)* w "]"' : "call";
  return [
    // The model goes on in its own tokens, as long as they fit: none is forced on it.
    '%llguidance {"no_forcing": true}',
    `start: ${syntax.opening === "object" ? "w " : ""}${body} REST?`,
    `call: ${call}`,
    ...calls,
    ...named.map((tool, i) => `a${i}: %json ${argumentSchema(tool, lenient)}`),
    "w: BLANKS?",
    "REST: /(?s:.)+/",
    "BLANKS: /[ \\t\\r\\n]{1,8}/",
    "",
  ].join("\n");
}
