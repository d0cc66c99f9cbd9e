/** The functions that templates may call: Go's own and Ollama's (template.md 5). */
import { sprintf } from "./printf.ts";
import { Int, isMap, isTrue, jsonValue, printValue, Struct, TextMap, typeName } from "./values.ts";

export type TemplateFunction = (args: readonly unknown[]) => unknown;

/** A function refused its arguments; the executor adds where. */
export class CallError extends Error {
  /** `whole`: the text already is the whole reason, without "error calling …". */
  constructor(
    message: string,
    readonly whole = false,
  ) {
    super(message);
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

type Basic = "int" | "float" | "string" | "bool";

function basicKind(value: unknown): Basic | undefined {
  if (value instanceof Int) return "int";
  if (typeof value === "number") return "float";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  return undefined;
}

function raw(value: unknown): string | number | boolean {
  return value instanceof Int ? value.value : (value as string | number | boolean);
}

function equal(a: unknown, b: unknown): boolean {
  const kindA = basicKind(a);
  const kindB = basicKind(b);
  const nilA = a === undefined || a === null;
  const nilB = b === undefined || b === null;
  if (kindA !== undefined && kindB !== undefined && kindA !== kindB) {
    throw new CallError(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`);
  }
  if (kindA !== undefined && kindB !== undefined) return raw(a) === raw(b);
  if (nilA || nilB) return nilA && nilB;
  for (const value of [a, b]) {
    if (basicKind(value) === undefined) {
      throw new CallError(`non-comparable type ${printValue(value, true)}: ${typeName(value)}`);
    }
  }
  throw new CallError("incompatible types for comparison");
}

function eq(args: readonly unknown[]): boolean {
  const [first, ...others] = args;
  if (others.length === 0) throw new CallError("missing argument for comparison");
  return others.some((other) => equal(first, other));
}

/** Order of UTF-8 bytes, as Go compares strings. */
function less(a: unknown, b: unknown): boolean {
  const kindA = basicKind(a);
  const kindB = basicKind(b);
  if (kindA === undefined || kindB === undefined || kindA === "bool" || kindB === "bool") {
    throw new CallError("invalid type for comparison");
  }
  if (kindA !== kindB) {
    throw new CallError(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`);
  }
  if (kindA === "string")
    return Buffer.compare(Buffer.from(a as string), Buffer.from(b as string)) < 0;
  return raw(a) < raw(b);
}

function length(value: unknown): Int {
  if (typeof value === "string") return new Int(encoder.encode(value).length);
  if (Array.isArray(value)) return new Int(value.length);
  if (value instanceof TextMap) return new Int(Object.keys(value.entries).length);
  if (isMap(value)) return new Int(Object.keys(value).length);
  if (value === undefined || value === null) throw new CallError("len of nil pointer");
  throw new CallError(`len of type ${typeName(value)}`);
}

function position(value: unknown, limit: number): number {
  if (value === undefined || value === null)
    throw new CallError("cannot index slice/array with nil");
  if (!(value instanceof Int)) {
    throw new CallError(`cannot index slice/array with type ${typeName(value)}`);
  }
  if (value.value < 0 || value.value >= limit)
    throw new CallError(`index out of range: ${value.value}`);
  return value.value;
}

function index(args: readonly unknown[]): unknown {
  const [first, ...keys] = args;
  if (first === undefined || first === null) throw new CallError("index of untyped nil");
  let value: unknown = first;
  for (const key of keys) {
    if (value === undefined || value === null) throw new CallError("index of nil pointer");
    if (Array.isArray(value)) value = value[position(key, value.length)];
    else if (typeof value === "string") {
      const bytes = encoder.encode(value);
      value = new Int(bytes[position(key, bytes.length)] ?? 0);
    } else if (value instanceof TextMap || isMap(value)) {
      if (typeof key !== "string") {
        const what =
          key === undefined || key === null
            ? "value is nil; should be of type string"
            : `value has type ${typeName(key)}; should be string`;
        throw new CallError(what);
      }
      const entries: Readonly<Record<string, unknown>> =
        value instanceof TextMap ? value.entries : value;
      value = Object.hasOwn(entries, key) ? entries[key] : undefined;
    } else throw new CallError(`can't index item of type ${typeName(value)}`);
  }
  return value;
}

function slice(args: readonly unknown[]): unknown {
  const [value, ...bounds] = args;
  if (value === undefined || value === null) throw new CallError("slice of untyped nil");
  const bytes = typeof value === "string" ? encoder.encode(value) : undefined;
  if (bytes === undefined && !Array.isArray(value)) {
    throw new CallError(`can't slice item of type ${typeName(value)}`);
  }
  if (bounds.length > 3) throw new CallError(`too many slice indexes: ${bounds.length}`);
  if (bytes !== undefined && bounds.length === 3)
    throw new CallError("cannot 3-index slice a string");
  const size = bytes?.length ?? (value as unknown[]).length;
  const [from = 0, to = size, most = size] = bounds.map((bound) => position(bound, size + 1));
  if (from > to) throw new CallError(`invalid slice index: ${from} > ${to}`);
  if (to > most) throw new CallError(`invalid slice index: ${to} > ${most}`);
  return bytes === undefined
    ? (value as unknown[]).slice(from, to)
    : decoder.decode(bytes.slice(from, to));
}

/** `print`: a blank between operands when neither is a string. */
function print(args: readonly unknown[]): string {
  let out = "";
  args.forEach((value, i) => {
    if (i > 0 && typeof value !== "string" && typeof args[i - 1] !== "string") out += " ";
    out += printValue(value, true);
  });
  return out;
}

/** One text of all operands, as the escaping functions take them. */
function joined(args: readonly unknown[]): string {
  return args.length === 1 ? printValue(args[0]) : print(args);
}

const htmlEscapes: Readonly<Record<string, string>> = {
  '"': "&#34;",
  "'": "&#39;",
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
};

const jsEscapes: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "'": "\\'",
  '"': '\\"',
  "<": "\\u003C",
  ">": "\\u003E",
  "&": "\\u0026",
  "=": "\\u003D",
};

function jsEscape(text: string): string {
  let out = "";
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const invisible = code < 0x20 || (code > 0x7f && /^[\p{C}\p{Z}]$/u.test(character));
    if (invisible) out += `\\u${code.toString(16).toUpperCase().padStart(4, "0")}`;
    else out += jsEscapes[character] ?? character;
  }
  return out;
}

function date(offsetDays: number): string {
  const day = new Date();
  day.setDate(day.getDate() + offsetDays);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

/** A tool property's type in TypeScript (template.md 5). */
function typeScriptType(value: unknown): string {
  if (!(value instanceof Struct)) return "any";
  const anyOf = value.fields.AnyOf;
  if (Array.isArray(anyOf) && anyOf.length > 0) return anyOf.map(typeScriptType).join(" | ");
  const types = value.fields.Type;
  const list = types instanceof Struct ? types.fields.list : types;
  const names: Readonly<Record<string, string>> = {
    string: "string",
    number: "number",
    integer: "number",
    boolean: "boolean",
    array: "any[]",
    object: "Record<string, any>",
    null: "null",
  };
  if (!Array.isArray(list) || list.length === 0) return "any";
  return list.map((type) => names[String(type)] ?? "any").join(" | ");
}

/** Fixed numbers of arguments; others take any. */
const arities: Readonly<Record<string, readonly [least: number, most: number]>> = {
  not: [1, 1],
  len: [1, 1],
  json: [1, 1],
  ne: [2, 2],
  lt: [2, 2],
  le: [2, 2],
  gt: [2, 2],
  ge: [2, 2],
  toTypeScriptType: [1, 1],
  index: [1, Number.POSITIVE_INFINITY],
  slice: [1, Number.POSITIVE_INFINITY],
  eq: [1, Number.POSITIVE_INFINITY],
  printf: [1, Number.POSITIVE_INFINITY],
  call: [1, Number.POSITIVE_INFINITY],
};

const table: Readonly<Record<string, TemplateFunction>> = {
  // `and` and `or` are evaluated by the executor, which stops early; here for completeness of names.
  and: (args) => args.find((value) => !isTrue(value)) ?? args.at(-1),
  or: (args) => args.find(isTrue) ?? args.at(-1),
  not: ([value]) => !isTrue(value),
  len: ([value]) => length(value),
  index,
  slice,
  eq,
  ne: ([a, b]) => !equal(a, b),
  lt: ([a, b]) => less(a, b),
  le: ([a, b]) => less(a, b) || equal(a, b),
  gt: ([a, b]) => !(less(a, b) || equal(a, b)),
  ge: ([a, b]) => !less(a, b),
  print,
  println: (args) => `${args.map((value) => printValue(value, true)).join(" ")}\n`,
  printf: ([format, ...operands]) => {
    if (typeof format !== "string") {
      throw new CallError(`wrong type for value; expected string; got ${typeName(format)}`, true);
    }
    return sprintf(format, operands);
  },
  html: (args) => joined(args).replace(/["'&<>]/g, (c) => htmlEscapes[c] ?? c),
  js: (args) => jsEscape(joined(args)),
  urlquery: (args) =>
    encodeURIComponent(joined(args))
      .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
      .replace(/%20/g, "+"),
  call: ([value]) => {
    if (value === undefined || value === null) throw new CallError("call of nil", false);
    throw new CallError(`non-function ${printValue(value)} of type ${typeName(value)}`);
  },
  json: ([value]) => jsonValue(value),
  currentDate: () => date(0),
  yesterdayDate: () => date(-1),
  toTypeScriptType: ([value]) => typeScriptType(value),
};

export const functionNames: ReadonlySet<string> = new Set(Object.keys(table));

/** Calls a function by name. @throws CallError */
export function callFunction(name: string, args: readonly unknown[]): unknown {
  const [least, most] = arities[name] ?? [0, Number.POSITIVE_INFINITY];
  if (args.length < least || args.length > most) {
    const want = most === least ? `want ${least}` : `want at least ${least}`;
    throw new CallError(`wrong number of args for ${name}: ${want} got ${args.length}`, true);
  }
  const call = table[name];
  if (call === undefined) throw new CallError(`"${name}" is not a defined function`, true);
  return call(args);
}
