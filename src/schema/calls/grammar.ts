/**
 * Strict tools: where a model's calls have a form that a grammar expresses, what follows the opening tag
 * is generated under the tools' own schemas. Text outside of calls stays free.
 */
import type { Tool } from "../../chat/messages.ts";
import type { CallForm, CallSyntax, JsonForm } from "./syntax.ts";
import { type Argument, argumentsOf } from "./values.ts";

/** Between tokens of the arguments, as everywhere (ffi/llguidance/src/schema): no endless blanks. */
const blanks = "( |(\\r?\\n){1,2}[ \\t]{0,20})";

const quoted = (text: string) => JSON.stringify(text);

/** Models that write no JSON write these either way. */
const flags = '("true" | "false" | "True" | "False")';

/** A schema of a tool as the engine takes it. */
function engineSchema(schema: object, lenient: boolean): string {
  const guidance = { lenient, whitespace_flexible: true, whitespace_pattern: blanks };
  return JSON.stringify({ ...schema, "x-guidance": guidance });
}

function argumentSchema({ function: { parameters } }: Tool, lenient: boolean): string {
  const given = typeof parameters === "object" && parameters !== null ? parameters : {};
  return engineSchema({ type: "object", ...given }, lenient);
}

/** Schema of one argument; what it refers to is the tool's. */
function valueSchema({ function: { parameters } }: Tool, one: Argument, lenient: boolean): string {
  const { $defs } = parameters ?? {};
  return engineSchema({ ...one.property, ...($defs === undefined ? {} : { $defs }) }, lenient);
}

/** What a form makes of tools: a rule `c0`, `c1`, … for a call of each, and of all calls behind a tag. */
interface FormRules {
  /** Rules of a tool's call, the first of them `c` with the tool's number. */
  call(tool: Tool, number: number): readonly string[];
  /** Everything behind the tag, made of `call`. */
  readonly body: string;
  /** Whether a tool can be written in this form. */
  fits(tool: Tool): boolean;
}

function jsonRules(form: JsonForm, lenient: boolean): FormRules {
  const colon = 'w ":" w';
  const id = form.idKey === undefined ? "" : `${quoted(`"${form.idKey}"`)} ${colon} ID w "," w `;
  const name = `${id}${quoted(`"${form.nameKey}"`)} ${colon} "\\"" `;
  const opening = form.opening === "object" ? `"{" w ${name}` : "";
  const items = 'w call (w "," w call)* w "]"';
  const list = `w "[" ${items}`;
  const single = `${form.opening === "object" ? "w " : ""}call`;
  return {
    fits: () => true,
    body: { yes: list, opened: items, no: single, maybe: `(${single} | ${list})` }[form.list],
    call(tool, i) {
      const own = quoted(JSON.stringify(tool.function.name).slice(1));
      const key = quoted(`"${form.argumentsKey}"`);
      return [
        `c${i}: ${opening}${own} w "," w ${key} ${colon} a${i} w "}"`,
        `a${i}: %json ${argumentSchema(tool, lenient)}`,
      ];
    },
  };
}

/** Rules of a bare value `v` and the text that ends it. */
function bareValue(rule: string, tool: Tool, one: Argument, close: string, lenient: boolean) {
  const end = quoted(close);
  if (one.kind === "text") return [`${rule}[suffix=${end}]: /(?s:.*)/`];
  if (one.kind === "choice") return [`${rule}: (${one.values.map(quoted).join(" | ")}) ${end}`];
  if (one.kind === "flag") return [`${rule}: ${flags} ${end}`];
  return [`${rule}: ${rule}j ${end}`, `${rule}j: %json ${valueSchema(tool, one, lenient)}`];
}

/** Keys and bare values between tags. */
interface TagForm {
  open(name: string): string;
  key(key: string): string;
  readonly valueEnd: string;
  readonly close: string;
}

const tagForms: Readonly<Record<"xml" | "pairs", TagForm>> = {
  xml: {
    open: (name) => `"\\n" ${quoted(`<function=${name}>`)} w`,
    key: (key) => quoted(`<parameter=${key}>\n`),
    valueEnd: "\n</parameter>",
    close: '"</function>" w "</tool_call>"',
  },
  // Only the closing tag tells that the name is whole.
  pairs: {
    open: (name) => `w ${quoted(name)} w`,
    key: (key) => `${quoted(`<arg_key>${key}</arg_key>`)} w "<arg_value>"`,
    valueEnd: "</arg_value>",
    close: '"</tool_call>"',
  },
};

function tagRules({ open, key, valueEnd, close }: TagForm, lenient: boolean): FormRules {
  const plain = /^[^\s<>]+$/;
  return {
    fits: (tool) =>
      plain.test(tool.function.name) && argumentsOf(tool).every((one) => plain.test(one.key)),
    body: "call",
    call(tool, i) {
      const list = argumentsOf(tool);
      const parts = list.map(({ required }, j) => `p${i}_${j}${required ? "" : "?"}`);
      return [
        [`c${i}:`, open(tool.function.name), ...parts, close].join(" "),
        ...list.flatMap((one, j) => [
          `p${i}_${j}: ${key(one.key)} v${i}_${j} w`,
          ...bareValue(`v${i}_${j}`, tool, one, valueEnd, lenient),
        ]),
      ];
    },
  };
}

function pythonRules(lines: boolean, lenient: boolean): FormRules {
  const [name, key] = [/^[\p{L}_][\p{L}\p{N}_.-]*$/u, /^[\p{L}_][\p{L}\p{N}_]*$/u];
  return {
    fits: (tool) =>
      name.test(tool.function.name) && argumentsOf(tool).every((one) => key.test(one.key)),
    body: lines
      ? 'w call ("\\n" call)* w "</function_calls>"'
      : 'w "[" w call (w "," w call)* w "]"',
    call(tool, i) {
      const list = argumentsOf(tool);
      // f: nothing stands in front yet, so no comma; s: something does.
      const rules = list.flatMap((one, j) => {
        const value = one.kind === "flag" ? flags : `%json ${valueSchema(tool, one, lenient)}`;
        const or = (rest: string) => (one.required ? "" : ` | ${rest}`);
        const next = `s${i}_${j + 1}`;
        return [
          `f${i}_${j}: ${quoted(`${one.key}=`)} v${i}_${j} ${next}${or(`f${i}_${j + 1}`)}`,
          `s${i}_${j}: w "," w ${quoted(`${one.key}=`)} v${i}_${j} ${next}${or(next)}`,
          `v${i}_${j}: ${value}`,
        ];
      });
      const ends = [`f${i}_${list.length}: ""`, `s${i}_${list.length}: ""`];
      return [`c${i}: ${quoted(`${tool.function.name}(`)} f${i}_0 w ")"`, ...rules, ...ends];
    },
  };
}

function rulesOf(form: CallForm, lenient: boolean): FormRules {
  if (form.kind === "json") return jsonRules(form, lenient);
  if (form.kind === "python") return pythonRules(form.lines, lenient);
  return tagRules(tagForms[form.kind], lenient);
}

/**
 * A grammar of everything between the tag and the call's last bracket, and of anything behind it: the
 * token with the bracket may go on. Who uses it ends it as soon as the text is whole.
 * @param lenient accepts what the engine cannot express of a schema, instead of refusing it
 * @returns undefined where a tool's name or its arguments' cannot be written in this form
 */
export function callGrammar(
  { form }: CallSyntax,
  tools: readonly Tool[],
  lenient: boolean,
): string | undefined {
  const named = tools.filter((tool) => tool.function.name !== "");
  const rules = rulesOf(form, lenient);
  if (!named.every(rules.fits)) return undefined;
  const lines = [
    // The model goes on in its own tokens, as long as they fit: none is forced on it.
    '%llguidance {"no_forcing": true}',
    `start: ${rules.body} REST?`,
    `call: ${named.map((_, i) => `c${i}`).join(" | ")}`,
    ...named.flatMap((tool, i) => rules.call(tool, i)),
    "w: BLANKS?",
    "REST: /(?s:.)+/",
    "BLANKS: /[ \\t\\r\\n]{1,24}/",
    ...(form.kind === "json" && form.idKey !== undefined
      ? ['ID: /"[0-9A-Za-z_-]{1,40}"|[0-9]{1,9}/']
      : []),
    "",
  ];
  return lines.join("\n");
}
