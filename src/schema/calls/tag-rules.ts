/** Calls that write keys and bare values between tags. */
import type { Tool } from "../../chat/messages.ts";
import {
  argumentSchema,
  type FormRules,
  flags,
  type GrammarSetting,
  literally,
  mark,
  quoted,
  textUpTo,
  valueSchema,
} from "./rules.ts";
import { type Argument, argumentsOf } from "./values.ts";

interface TagForm {
  /** Up to the first key. */
  open(tool: Tool, number: number): string;
  key(key: string): string;
  readonly valueEnd: string;
  /** What no value contains, because it would end the call. */
  readonly callEnd: string;
  /** Behind the last value. */
  readonly close: string;
  /** What may stand behind a value: blanks, when it is not said. */
  readonly gap?: string;
}

/** A bare value and the text that ends it. */
function bareValue(
  rule: string,
  tool: Tool,
  one: Argument,
  { valueEnd, callEnd }: TagForm,
  setting: GrammarSetting,
): string[] {
  if (one.kind === "text") return textUpTo(rule, valueEnd, [callEnd], setting);
  const end = mark(valueEnd, setting);
  if (one.kind === "choice") return [`${rule}: (${one.values.map(quoted).join(" | ")}) ${end}`];
  if (one.kind === "flag") return [`${rule}: ${flags} ${end}`];
  return [`${rule}: ${rule}j ${end}`, `${rule}j: %json ${valueSchema(tool, one, setting)}`];
}

const plain = /^[^\s<>"]+$/;

const fits = (tool: Tool) =>
  plain.test(tool.function.name) && argumentsOf(tool).every((one) => plain.test(one.key));

/** Rules of a call and of its arguments; the call's is `rule`. */
function tagCall(
  rule: string,
  form: TagForm,
  tool: Tool,
  i: number,
  setting: GrammarSetting,
): string[] {
  const list = argumentsOf(tool);
  const parts = list.map(({ required }, j) => `p${i}_${j}${required ? "" : "?"}`);
  return [
    [`${rule}:`, form.open(tool, i), ...parts, form.close].join(" "),
    ...list.flatMap((one, j) => [
      `p${i}_${j}: ${form.key(one.key)} v${i}_${j} ${form.gap ?? "w"}`,
      ...bareValue(`v${i}_${j}`, tool, one, form, setting),
    ]),
  ];
}

export function xmlRules(setting: GrammarSetting): FormRules {
  const form: TagForm = {
    open: (tool) => `"\\n" ${quoted(`<function=${tool.function.name}>`)} w`,
    key: (key) => quoted(`<parameter=${key}>\n`),
    valueEnd: "\n</parameter>",
    callEnd: "</tool_call>",
    close: `"</function>" w ${mark("</tool_call>", setting)}`,
  };
  return { fits, body: "call", call: (tool, i) => tagCall(`c${i}`, form, tool, i, setting) };
}

/** Only the closing tag tells that the name is whole. @param loose JSON may stand there too */
export function pairsRules(loose: boolean, setting: GrammarSetting): FormRules {
  const part = (text: string) => mark(text, setting);
  const close = part("</tool_call>");
  const form: TagForm = {
    open: (tool) => `w ${quoted(tool.function.name)} w`,
    key: (key) =>
      `${part("<arg_key>")} ${quoted(key)} ${part("</arg_key>")} w ${part("<arg_value>")}`,
    valueEnd: "</arg_value>",
    callEnd: "</tool_call>",
    close,
  };
  return {
    fits,
    body: "call",
    call(tool, i) {
      if (!loose) return tagCall(`c${i}`, form, tool, i, setting);
      const name = quoted(JSON.stringify(tool.function.name));
      const own = quoted(tool.function.name);
      const object = `"{" w "\\"name\\"" w ":" w ${name} w "," w "\\"arguments\\"" w ":" w a${i} w "}"`;
      return [
        `c${i}: t${i} | w ${object} w ${close} | w ${own} w a${i} w ${close}`,
        `a${i}: %json ${argumentSchema(tool, setting)}`,
        ...tagCall(`t${i}`, form, tool, i, setting),
      ];
    },
  };
}

/** Behind `to=`: a tool, its message and nothing but the call; another recipient's message is free. */
export function invokeRules(tools: readonly Tool[], setting: GrammarSetting): FormRules {
  const message = mark("<|message|>", setting);
  const names = tools.map((tool) => literally(tool.function.name)).join("|");
  const form: TagForm = {
    open: (tool, i) =>
      `R${i} ${message} w "<atem:function_calls>" w ${quoted(`<atem:invoke name="${tool.function.name}">`)} "\\n"?`,
    gap: '"\\n"?',
    key: (key) => quoted(`<atem:parameter name="${key}">`),
    valueEnd: "</atem:parameter>",
    callEnd: "</atem:invoke>",
    close: `"</atem:invoke>" w "</atem:function_calls>" (w (${mark("<|eom|>", setting)} | ${mark("<|eot|>", setting)}))?`,
  };
  return {
    fits,
    body: `(call | OTHER ${message})`,
    call: (tool, i) => [
      ...tagCall(`c${i}`, form, tool, i, setting),
      `R${i}: /([^\\s<]*\\.)?${literally(tool.function.name)}/`,
    ],
    shared: () => [`OTHER: /[^\\s<]+/ & ~/([^\\s<]*\\.)?(${names})/`],
  };
}
