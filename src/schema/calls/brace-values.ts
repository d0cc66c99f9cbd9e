/**
 * Values of a schema in the syntax of Gemma's calls, which is JSON with bare keys and marked strings: a
 * rule for each schema. The engine's own schemas write JSON alone.
 */
import { engineSchema, type GrammarSetting, mark, quoted, textUpTo } from "./rules.ts";
import type { BracesForm } from "./syntax.ts";

type Schema = Readonly<Record<string, unknown>>;

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Keywords that say nothing about values. */
const annotations = ["$defs", "$schema", "default", "description", "examples", "nullable", "title"];
const ofNumbers = ["exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"];
/** Keywords that rules express, for each type. */
const expressed: Readonly<Record<string, readonly string[]>> = {
  object: ["additionalProperties", "properties", "required"],
  array: ["items", "maxItems", "minItems"],
  integer: ofNumbers,
  number: ofNumbers,
};

/** A key as it may stand bare: anywhere else it would end, or be another one. */
export const bareKey = /^[\p{L}_$][\p{L}\p{N}_$.-]*$/u;

export class BraceValues {
  /** Rules of all values so far. */
  readonly rules: string[] = [];
  /** False once a schema said something that no rule says. */
  exact = true;
  readonly #form: BracesForm;
  readonly #setting: GrammarSetting;
  readonly #prefix: string;
  /** Definitions of the schema and the rules they have. */
  readonly #definitions: Schema;
  readonly #known = new Map<string, string>();

  /** @param prefix what its rules' names begin with */
  constructor(form: BracesForm, setting: GrammarSetting, prefix: string, definitions: unknown) {
    this.#form = form;
    this.#setting = setting;
    this.#prefix = prefix;
    this.#definitions = isSchema(definitions) ? definitions : {};
  }

  /** The rule of a schema's values. */
  of(schema: unknown): string {
    const name = `${this.#prefix}${this.rules.length}`;
    // In its place before what it is made of, so that no name comes twice.
    const at = this.rules.push("") - 1;
    this.rules[at] = `${name}: ${this.#expression(schema)}`;
    return name;
  }

  #expression(schema: unknown): string {
    if (!isSchema(schema)) {
      if (schema === false) this.exact = false;
      return "any";
    }
    const { $ref, anyOf, const: only, enum: list, type } = schema;
    if (typeof $ref === "string") return this.#reference($ref, schema);
    const values = Array.isArray(list) ? list : only === undefined ? undefined : [only];
    if (values !== undefined) {
      this.#check(schema, ["const", "enum", "type"]);
      return this.#either(values.map((value) => this.#literal(value)));
    }
    if (Array.isArray(anyOf)) {
      this.#check(schema, ["anyOf", "type"]);
      return this.#either(anyOf.map((one) => this.of(one)));
    }
    const types = Array.isArray(type) ? type : type === undefined ? [] : [type];
    const described = types.length > 0 ? types : this.#guessed(schema);
    const keywords = described.flatMap((one) => expressed[String(one)] ?? []);
    this.#check(schema, ["type", ...keywords]);
    if (described.length === 0) return "any";
    return this.#either(described.map((one) => this.#ofType(String(one), schema)));
  }

  /** Schemas without a type that describe members mean objects. */
  #guessed(schema: Schema): string[] {
    return isSchema(schema.properties) ? ["object"] : [];
  }

  #check(schema: Schema, known: readonly string[]): void {
    const says = Object.keys(schema).filter((key) => !annotations.includes(key));
    if (says.some((key) => !known.includes(key))) this.exact = false;
  }

  #reference(path: string, schema: Schema): string {
    this.#check(schema, ["$ref"]);
    const key = /^#\/\$defs\/([^/~%]+)$/.exec(path)?.[1];
    const found = key === undefined ? undefined : this.#definitions[key];
    if (key === undefined || found === undefined) {
      this.exact = false;
      return "any";
    }
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const name = `${this.#prefix}d${this.#known.size}`;
    this.#known.set(key, name);
    this.rules.push(`${name}: ${this.#expression(found)}`);
    return name;
  }

  #either(choices: readonly (string | undefined)[]): string {
    const possible = choices.filter((choice) => choice !== undefined);
    if (possible.length < choices.length) this.exact = false;
    return possible.length === 0 ? "any" : `(${possible.join(" | ")})`;
  }

  #literal(value: unknown): string | undefined {
    if (typeof value === "string") {
      const quote = mark(this.#form.quote, this.#setting);
      const ends = value.includes(this.#form.quote) || value.includes(this.#form.close);
      return ends ? undefined : `${quote} ${quoted(value)} ${quote}`;
    }
    if (value === null) return this.#nil();
    return typeof value === "object" ? undefined : quoted(JSON.stringify(value));
  }

  #nil(): string | undefined {
    return this.#form.nil === undefined ? undefined : quoted(this.#form.nil);
  }

  #ofType(type: string, schema: Schema): string | undefined {
    switch (type) {
      case "string":
        return "text";
      case "boolean":
        return '"true" | "false"';
      case "integer":
      case "number": {
        const bounds = ofNumbers.flatMap((key) => (key in schema ? [[key, schema[key]]] : []));
        const number = { type, ...Object.fromEntries(bounds) };
        return this.#named(`%json ${engineSchema(number, this.#setting)}`);
      }
      case "null":
        return this.#nil();
      case "array":
        return this.#list(schema);
      case "object":
        return this.#members(schema);
      default:
        this.exact = false;
        return "any";
    }
  }

  #list({ items, minItems = 0, maxItems }: Schema): string {
    const item = items === undefined ? "any" : this.of(items);
    const least = Number(minItems);
    if (maxItems !== undefined && Number(maxItems) < 1) return '"[]"';
    const most = maxItems === undefined ? "" : Number(maxItems) - 1;
    const some = `${item} ("," ${item}){${Math.max(0, least - 1)},${most}}`;
    return least > 0 ? `"[" ${some} "]"` : `"[" (${some})? "]"`;
  }

  /** Those that are named and no others, sorted; without names any. */
  #members({ properties, required, additionalProperties }: Schema): string {
    if (!isSchema(properties) || Object.keys(properties).length === 0) {
      if (additionalProperties === false) return '"{}"';
      const value = isSchema(additionalProperties) ? this.of(additionalProperties) : "any";
      return `"{" (KEY ":" ${value} ("," KEY ":" ${value})*)? "}"`;
    }
    const needed = new Set(Array.isArray(required) ? required : []);
    const keys = Object.keys(properties).sort();
    if (!keys.every((key) => bareKey.test(key)) || [...needed].some((key) => !keys.includes(key))) {
      this.exact = false;
    }
    // first: nothing stands in front yet, so no comma.
    let first = '""';
    let then = '""';
    for (const key of keys.filter((one) => bareKey.test(one)).reverse()) {
      const member = `${quoted(`${key}:`)} ${this.of(properties[key])}`;
      const [before, rest] = [first, then];
      first = `(${member} ${rest}${needed.has(key) ? "" : ` | ${before}`})`;
      then = `("," ${member} ${rest}${needed.has(key) ? "" : ` | ${rest}`})`;
      [first, then] = [this.#named(first), this.#named(then)];
    }
    return `"{" ${first} "}"`;
  }

  #named(expression: string): string {
    const name = `${this.#prefix}m${this.rules.length}`;
    this.rules.push(`${name}: ${expression}`);
    return name;
  }
}

/** Rules that values of any schema use. */
export function sharedValues(form: BracesForm, setting: GrammarSetting): string[] {
  const quote = mark(form.quote, setting);
  const nil = form.nil === undefined ? "" : ` | ${quoted(form.nil)}`;
  return [
    `text: ${quote} said`,
    ...textUpTo("said", form.quote, [form.close], setting),
    `number: %json ${engineSchema({ type: "number" }, setting)}`,
    `any: text | number | "true" | "false"${nil} | list | map`,
    'list: "[" (any ("," any)*)? "]"',
    'map: "{" (KEY ":" any ("," KEY ":" any)*)? "}"',
    "KEY: /[\\p{L}_$][\\p{L}\\p{N}_$.-]*/",
  ];
}
