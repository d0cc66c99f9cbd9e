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

/** The tool's name, then its arguments as a JSON object, between marks. */
export interface NamedForm {
  readonly kind: "named";
  /** What stands in front of the name, between name and object, and behind it; in this order. */
  readonly open: readonly string[];
  readonly separator: readonly string[];
  readonly close: readonly string[];
  /** Ends the list of calls behind one tag; one call only where it is not given. */
  readonly listEnd?: string;
}

/** `call:name{key:<quote>text<quote>,n:1}`, keys sorted. */
export interface BracesForm {
  readonly kind: "braces";
  readonly quote: string;
  readonly close: string;
  /** How nothing is written; undefined where it cannot be. */
  readonly nil?: string;
}

/**
 * - `xml`: `<function=name>`, `<parameter=key>` and bare values;
 * - `pairs`: the name, then `<arg_key>`, `<arg_value>` and bare values; `loose`: JSON instead of these too;
 * - `invoke`: the rest of a header with the tool's name, then tags with names and bare values;
 * - `python`: `name(key="text", n=1)`, in brackets or a line each;
 * - `harmony`: the rest of a header with the tool's name, then a JSON object.
 */
export type CallForm =
  | JsonForm
  | NamedForm
  | BracesForm
  | { readonly kind: "xml" | "invoke" | "harmony" }
  | { readonly kind: "pairs"; readonly loose: boolean }
  | { readonly kind: "python"; readonly lines: boolean };

export interface CallSyntax {
  /** Texts after each of which a call is expected. */
  readonly tags: readonly string[];
  /** Counts at the beginning of the answer only: elsewhere it may be plain JSON. */
  readonly atStart: boolean;
  /** The beginning of a tag with which prompts end. */
  readonly before?: string;
  readonly form: CallForm;
  /** What ends thinking before calls, where it is not what ends it before an answer. */
  readonly thoughtEnd?: string;
  /** A tag begins a call within thinking too. */
  readonly inThought?: true;
  /** What follows a call, where it is not free text: the next message, or nothing. */
  readonly next?: "message" | "end";
}

const hermesForm: JsonForm = {
  kind: "json",
  opening: "object",
  nameKey: "name",
  argumentsKey: "arguments",
  list: "no",
};
const behind = (tag: string, form: CallForm): CallSyntax => ({ tags: [tag], atStart: false, form });
const alsoInThought = (syntax: CallSyntax): CallSyntax => ({ ...syntax, inThought: true });

const hermesTag = "<tool_call>";
const hermes = behind(hermesTag, hermesForm);
const xml = behind(hermesTag, { kind: "xml" });
const pairs = behind(hermesTag, { kind: "pairs", loose: false });
const laguna = alsoInThought(behind(hermesTag, { kind: "pairs", loose: true }));
const lfm2 = behind("<|tool_call_start|>", { kind: "python", lines: false });
const llama3: CallSyntax = {
  tags: ['{"name": "'],
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
const deepseek3 = behind("<｜tool▁calls▁begin｜>", {
  kind: "named",
  open: ["<｜tool▁call▁begin｜>"],
  separator: ["<｜tool▁sep｜>"],
  close: ["<｜tool▁call▁end｜>"],
  listEnd: "<｜tool▁calls▁end｜>",
});
const cogito = behind("<｜tool▁calls▁begin｜>", {
  kind: "named",
  open: ["<｜tool▁call▁begin｜>", "function", "<｜tool▁sep｜>"],
  separator: ["\n```json\n"],
  close: ["\n```", "<｜tool▁call▁end｜>"],
  listEnd: "<｜tool▁calls▁end｜>",
});
const ministral = behind("[TOOL_CALLS]", {
  kind: "named",
  open: [],
  separator: ["[ARGS]"],
  close: [],
});
/** Prompts end with the beginning of a message's header, whose recipient is a tool or not. */
const answerStart = "<|start|>assistant";
const harmony: CallSyntax = {
  tags: [
    "<|channel|>commentary to=functions.",
    "<|channel|>analysis to=functions.",
    `${answerStart} to=functions.`,
  ],
  atStart: false,
  before: answerStart,
  form: { kind: "harmony" },
  inThought: true,
  next: "end",
};
const glimmer: CallSyntax = {
  ...alsoInThought(behind(`${answerStart} to=`, { kind: "invoke" })),
  before: answerStart,
  next: "message",
};
const functiongemma = behind("<start_function_call>", {
  kind: "braces",
  quote: "<escape>",
  close: "<end_function_call>",
});
const gemma4 = behind("<|tool_call>", {
  kind: "braces",
  quote: '<|"|>',
  close: "<tool_call|>",
  nil: "null",
});

/** By name of the built-in parser. */
const byParser: Readonly<Record<string, CallSyntax>> = {
  cogito,
  cohere,
  deepseek3,
  functiongemma,
  gemma4,
  "gemma4-no-thinking": gemma4,
  glimmer,
  "glm-4.7": pairs,
  "glm-ocr": pairs,
  harmony,
  laguna,
  lfm2,
  "lfm2-thinking": lfm2,
  ministral,
  "nemotron-3-nano": alsoInThought(xml),
  "nemotron-3.5-nano": alsoInThought(xml),
  olmo3: behind("<function_calls>", { kind: "python", lines: true }),
  ornith: alsoInThought(xml),
  "poolside-v1": laguna,
  qwen3: hermes,
  "qwen3-coder": xml,
  "qwen3-thinking": alsoInThought(hermes),
  "qwen3-vl-instruct": hermes,
  "qwen3-vl-thinking": alsoInThought(hermes),
  "qwen3.5": alsoInThought(xml),
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
  if (bare === hermesTag) {
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
