/** What grammars of calls are made of, whatever their form: rules in llguidance's Lark. */
import type { Tool } from "../../chat/messages.ts";
import type { Argument } from "./values.ts";

/** What a form makes of tools: a rule `c0`, `c1`, … for a call of each, and of all calls behind a tag. */
export interface FormRules {
  /** Rules of a tool's call, the first of them `c` with the tool's number. */
  call(tool: Tool, number: number): readonly string[];
  /** Everything behind the tag, made of `call`. */
  readonly body: string;
  /** Whether a tool can be written in this form. */
  fits(tool: Tool): boolean;
  /** Rules that several calls share. */
  shared?(tools: readonly Tool[]): readonly string[];
}

/** What a grammar depends on beside its form and tools. */
export interface GrammarSetting {
  /** Accepts what cannot be expressed of a schema, instead of refusing it. */
  readonly lenient: boolean;
  /** The token that stands for a text and is none to a grammar over texts: a control token. */
  control(text: string): number | undefined;
}

/** Between tokens of the arguments, as everywhere (ffi/llguidance/src/schema): no endless blanks. */
const blanks = "( |(\\r?\\n){1,2}[ \\t]{0,20})";

export const quoted = (text: string) => JSON.stringify(text);

/** Models that write no JSON write these either way. */
export const flags = '("true" | "false" | "True" | "False")';

/** A text that the model's vocabulary may have as a control token. */
export function mark(text: string, { control }: GrammarSetting): string {
  const token = control(text);
  return token === undefined ? quoted(text) : `<[${token}]>`;
}

/** An expression that matches a text and no other. */
export function literally(text: string): string {
  return text.replace(/[^A-Za-z0-9_ ]/gu, (sign) => `\\x{${sign.codePointAt(0)?.toString(16)}}`);
}

/** Any text without one of `texts`, between slashes. */
function without(texts: readonly string[]): string {
  return `/(?s:.*)/ & ~/(?s:.*)(${texts.map(literally).join("|")})(?s:.*)/`;
}

/**
 * A rule for any text up to `end`, that included.
 * @param never what would end more than this text
 */
export function textUpTo(
  rule: string,
  end: string,
  never: readonly string[],
  setting: GrammarSetting,
): string[] {
  const terminal = rule.toUpperCase();
  if (setting.control(end) !== undefined) {
    return [
      `${rule}: ${terminal} ${mark(end, setting)}`,
      `${terminal}: ${without([end, ...never])}`,
    ];
  }
  const text = never.length === 0 ? "/(?s:.*)/" : without(never);
  return [`${rule}[suffix=${quoted(end)}]: ${text}`];
}

/** Keywords beside which an object's named members may not be all that are meant. */
const opens = `additionalProperties allOf anyOf dependencies dependentSchemas else if not oneOf
  patternProperties then unevaluatedProperties $ref`.split(/\s+/);

/** A schema whose objects get no members but those that it names, unless it says something about others. */
function closed(schema: unknown): unknown {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return schema;
  const { properties, items } = schema as Record<string, unknown>;
  const named = typeof properties === "object" && properties !== null ? properties : {};
  if (opens.some((keyword) => keyword in schema)) return schema;
  return {
    ...schema,
    ...(items === undefined ? {} : { items: closed(items) }),
    ...(Object.keys(named).length === 0
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(named).map(([key, one]) => [key, closed(one)]),
          ),
          additionalProperties: false,
        }),
  };
}

/** A schema of a tool as the engine takes it. */
export function engineSchema(schema: object, { lenient }: GrammarSetting): string {
  const guidance = { lenient, whitespace_flexible: true, whitespace_pattern: blanks };
  return JSON.stringify({ ...(closed(schema) as object), "x-guidance": guidance });
}

export function argumentSchema(
  { function: { parameters } }: Tool,
  setting: GrammarSetting,
): string {
  const given = typeof parameters === "object" && parameters !== null ? parameters : {};
  return engineSchema({ type: "object", ...given }, setting);
}

/** Schema of one argument; what it refers to is the tool's. */
export function valueSchema(
  { function: { parameters } }: Tool,
  one: Argument,
  setting: GrammarSetting,
): string {
  const { $defs } = parameters ?? {};
  return engineSchema({ ...one.property, ...($defs === undefined ? {} : { $defs }) }, setting);
}
