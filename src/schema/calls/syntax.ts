/** How models write calls of tools, as far as it is known for sure from a parser's name or a template. */

/** Calls as JSON objects. */
export interface JsonForm {
  readonly kind: "json";
  /** What stands in front of the tool's name: the object's opening, or nothing where the tag has it. */
  readonly opening: "object" | "name";
  /** A number that goes in front of the name, under this key. */
  readonly idKey?: string;
  readonly nameKey: string;
  readonly argumentsKey: string;
  /** Whether the calls are items of a list; `opened`: the tag has its bracket; `maybe`: both occur. */
  readonly list: "yes" | "opened" | "no" | "maybe";
}

/**
 * - `xml`: `<function=name>`, `<parameter=key>` and bare values;
 * - `pairs`: the name, then `<arg_key>`, `<arg_value>` and bare values;
 * - `python`: `name(key="text", n=1)`, in brackets or a line each.
 */
export type CallForm =
  | JsonForm
  | { readonly kind: "xml" | "pairs" }
  | { readonly kind: "python"; readonly lines: boolean };

export interface CallSyntax {
  /** Text after which a call is expected. */
  readonly tag: string;
  /** Counts at the beginning of the answer only: elsewhere it may be plain JSON. */
  readonly atStart: boolean;
  readonly form: CallForm;
  /** What ends thinking before calls, where it is not what ends it before an answer. */
  readonly thoughtEnd?: string;
}

const hermesForm: JsonForm = {
  kind: "json",
  opening: "object",
  nameKey: "name",
  argumentsKey: "arguments",
  list: "no",
};
const behind = (tag: string, form: CallForm): CallSyntax => ({ tag, atStart: false, form });

const hermes = behind("<tool_call>", hermesForm);
const xml = behind("<tool_call>", { kind: "xml" });
const pairs = behind("<tool_call>", { kind: "pairs" });
const lfm2 = behind("<|tool_call_start|>", { kind: "python", lines: false });
const llama3: CallSyntax = {
  tag: '{"name": "',
  atStart: true,
  form: { ...hermesForm, opening: "name", argumentsKey: "parameters" },
};
const cohere: CallSyntax = {
  ...behind("<|START_ACTION|>", {
    kind: "json",
    opening: "object",
    idKey: "tool_call_id",
    nameKey: "tool_name",
    argumentsKey: "parameters",
    list: "yes",
  }),
  thoughtEnd: "<|END_THINKING|>",
};

/** By name of the built-in parser. In the formats of the others stand control tokens within a call. */
const byParser: Readonly<Record<string, CallSyntax>> = {
  qwen3: hermes,
  "qwen3-thinking": hermes,
  "qwen3-vl-instruct": hermes,
  "qwen3-vl-thinking": hermes,
  "qwen3-coder": xml,
  "qwen3.5": xml,
  ornith: xml,
  "nemotron-3-nano": xml,
  "nemotron-3.5-nano": xml,
  "glm-4.7": pairs,
  "glm-ocr": pairs,
  cohere,
  lfm2,
  "lfm2-thinking": lfm2,
  olmo3: behind("<function_calls>", { kind: "python", lines: true }),
};

/** The keys of a call in a template, in the order in which it writes them. */
const keys =
  /(?:\\?"(tool_call_id)\\?": ?.*?)?\\?"(name|tool_name)\\?": ?.*?\\?"(arguments|parameters)\\?": ?/s;

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
  if (parser !== undefined) return Object.hasOwn(byParser, parser) ? byParser[parser] : undefined;
  if (tag === "{") return llamaSyntax(template);
  const bare = mark.exec(tag)?.[1] ?? tag;
  const found = keys.exec(template.slice(Math.max(0, template.lastIndexOf(bare))));
  if (bare === hermes.tag) {
    const known = template.includes("</tool_call>") && keys.exec(template)?.[3] === "arguments";
    return known ? hermes : undefined;
  }
  // Words alone may begin any sentence.
  if (found === null || !/[>\][{]$/.test(bare)) return undefined;
  const [, idKey, nameKey = "", argumentsKey = ""] = found;
  return behind(bare, {
    kind: "json",
    opening: "object",
    ...(idKey === undefined ? {} : { idKey }),
    nameKey,
    argumentsKey,
    list: listOf(bare, tag),
  });
}

/** A mark that stands in no other text; with plain words (`functools[`) the bracket belongs to the tag. */
const mark = /^(<[^\s<>]+>|\[[^\s[\]]+\])\s*\[?$/;

function listOf(bare: string, tag: string): JsonForm["list"] {
  if (!mark.test(bare)) return bare.endsWith("[") ? "opened" : "no";
  return bare !== tag || bare === "[TOOL_CALLS]" ? "yes" : "maybe";
}

function llamaSyntax(template: string): CallSyntax | undefined {
  const known = template.includes("<|start_header_id|>");
  return known && keys.exec(template)?.[3] === "parameters" ? llama3 : undefined;
}
