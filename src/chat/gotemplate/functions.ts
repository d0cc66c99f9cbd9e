/** The functions that templates may call: Go's own and Ollama's (template.md 5). */
import { byteLength, fromBytes, toBytes } from "./bytes.ts";
import { equal, equalsAny, less } from "./compare.ts";
import { CallError } from "./errors.ts";
import { escapeHtml, escapeJs, escapeQuery } from "./escape.ts";
import { printValue, sprint, sprintln } from "./print.ts";
import { sprintf } from "./printf.ts";
import { Byte, entriesOf, isNothing, isTrue, jsonValue, Struct, typeName } from "./values.ts";

interface TemplateFunction {
  readonly call: (args: readonly unknown[]) => unknown;
  /** Least and most arguments. */
  readonly least: number;
  readonly most: number;
  /** How many of the first arguments must be strings. */
  readonly strings?: number;
}

function length(value: unknown): bigint {
  if (typeof value === "string") return BigInt(byteLength(value));
  if (Array.isArray(value)) return BigInt(value.length);
  const entries = entriesOf(value);
  if (entries !== undefined) return BigInt(Object.keys(entries).length);
  throw new CallError(isNothing(value) ? "len of nil pointer" : `len of type ${typeName(value)}`);
}

/** An index or bound; `most` itself is in range. */
function position(given: unknown, most: number): number {
  if (isNothing(given)) throw new CallError("cannot index slice/array with nil");
  const value = given instanceof Byte ? given.value : given;
  if (typeof value !== "bigint") {
    throw new CallError(`cannot index slice/array with type ${typeName(value)}`);
  }
  if (value < 0n || value > BigInt(most)) throw new CallError(`index out of range: ${value}`);
  return Number(value);
}

function element(value: unknown, key: unknown): unknown {
  if (isNothing(value)) throw new CallError("index of nil pointer");
  if (Array.isArray(value)) return value[position(key, value.length - 1)];
  if (typeof value === "string") {
    const bytes = toBytes(value);
    return new Byte(BigInt(bytes[position(key, bytes.length - 1)] ?? 0));
  }
  const entries = entriesOf(value);
  if (entries === undefined) throw new CallError(`can't index item of type ${typeName(value)}`);
  if (isNothing(key)) throw new CallError("value is nil; should be of type string");
  if (typeof key !== "string") {
    throw new CallError(`value has type ${typeName(key)}; should be string`);
  }
  return Object.hasOwn(entries, key) ? entries[key] : null;
}

function index([value, ...keys]: readonly unknown[]): unknown {
  if (isNothing(value)) throw new CallError("index of untyped nil");
  return keys.reduce(element, value);
}

function slice([value, ...bounds]: readonly unknown[]): unknown {
  if (isNothing(value)) throw new CallError("slice of untyped nil");
  const isString = typeof value === "string";
  if (!isString && !Array.isArray(value)) {
    throw new CallError(`can't slice item of type ${typeName(value)}`);
  }
  if (bounds.length > 3) throw new CallError(`too many slice indexes: ${bounds.length}`);
  if (isString && bounds.length === 3) throw new CallError("cannot 3-index slice a string");
  const whole = isString ? toBytes(value) : value;
  const size = whole.length;
  const [from = 0, to = size, most = size] = bounds.map((bound) => position(bound, size));
  if (from > to) throw new CallError(`invalid slice index: ${from} > ${to}`);
  if (to > most) throw new CallError(`invalid slice index: ${to} > ${most}`);
  return whole instanceof Uint8Array ? fromBytes(whole.subarray(from, to)) : whole.slice(from, to);
}

/** One text of all operands, as the escaping functions take them. */
function joined(args: readonly unknown[]): string {
  const [only] = args;
  if (args.length === 1 && typeof only === "string") return only;
  return sprint(args.map((value) => (isNothing(value) ? "<no value>" : value)));
}

/** The local date, some days from today. */
function date(offsetDays: number): string {
  const day = new Date();
  day.setDate(day.getDate() + offsetDays);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

const typeScriptNames: Readonly<Record<string, string>> = {
  string: "string",
  number: "number",
  integer: "number",
  boolean: "boolean",
  array: "any[]",
  object: "Record<string, any>",
  null: "null",
};

/** A tool property's type in TypeScript (template.md 5). */
function typeScriptType(value: unknown): string {
  if (!(value instanceof Struct)) return "any";
  const { AnyOf: anyOf, Type: types } = value.fields;
  if (Array.isArray(anyOf) && anyOf.length > 0) return anyOf.map(typeScriptType).join(" | ");
  if (!Array.isArray(types) || types.length === 0) return "any";
  return Array.from(types, (type) => typeScriptNames[String(type)] ?? "any").join(" | ");
}

const any = Number.POSITIVE_INFINITY;
const fixed = (count: number, call: TemplateFunction["call"]): TemplateFunction => ({
  call,
  least: count,
  most: count,
});
const from = (least: number, call: TemplateFunction["call"], strings = 0): TemplateFunction => ({
  call,
  least,
  most: any,
  strings,
});

const table: Readonly<Record<string, TemplateFunction>> = {
  // The executor evaluates these two itself, because they stop early; their counts stand here.
  and: from(1, (args) => args.find((value) => !isTrue(value)) ?? args.at(-1)),
  or: from(1, (args) => args.find(isTrue) ?? args.at(-1)),
  not: fixed(1, ([value]) => !isTrue(value)),
  len: fixed(1, ([value]) => length(value)),
  index: from(1, index),
  slice: from(1, slice),
  eq: from(1, ([first, ...others]) => equalsAny(first, others)),
  ne: fixed(2, ([a, b]) => !equal(a, b)),
  lt: fixed(2, ([a, b]) => less(a, b)),
  le: fixed(2, ([a, b]) => less(a, b) || equal(a, b)),
  gt: fixed(2, ([a, b]) => !(less(a, b) || equal(a, b))),
  ge: fixed(2, ([a, b]) => !less(a, b)),
  print: from(0, sprint),
  println: from(0, sprintln),
  printf: from(1, ([pattern, ...operands]) => sprintf(String(pattern), operands), 1),
  html: from(0, (args) => escapeHtml(joined(args))),
  js: from(0, (args) => escapeJs(joined(args))),
  urlquery: from(0, (args) => escapeQuery(joined(args))),
  call: from(1, ([value]) => {
    if (isNothing(value)) throw new CallError("call of nil");
    throw new CallError(`non-function ${printValue(value)} of type ${typeName(value)}`);
  }),
  json: fixed(1, ([value]) => jsonValue(value)),
  currentDate: from(0, () => date(0), any),
  yesterdayDate: from(0, () => date(-1), any),
  toTypeScriptType: fixed(1, ([value]) => typeScriptType(value)),
};

export const functionNames: ReadonlySet<string> = new Set(Object.keys(table));

/** @throws CallError when a function takes another number of arguments */
export function checkCount(name: string, count: number): void {
  const { least, most } = table[name] ?? { least: 0, most: any };
  if (count >= least && count <= most) return;
  const want = most === least ? `want ${least}` : `want at least ${least}`;
  throw new CallError(`wrong number of args for ${name}: ${want} got ${count}`, true);
}

/** Calls a function by name, its number of arguments being checked. @throws CallError */
export function callFunction(name: string, args: readonly unknown[]): unknown {
  const entry = table[name];
  if (entry === undefined) throw new CallError(`"${name}" is not a defined function`, true);
  for (const value of args.slice(0, entry.strings ?? 0)) {
    if (isNothing(value)) throw new CallError("invalid value; expected string", true);
    if (typeof value !== "string") {
      throw new CallError(`wrong type for value; expected string; got ${typeName(value)}`, true);
    }
  }
  return entry.call(args);
}
