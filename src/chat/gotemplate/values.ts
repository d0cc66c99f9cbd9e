/**
 * Values of templates. JSON values are JavaScript's own, numbers being 64-bit floats; whole numbers
 * that Go calls int (literals, lengths, indexes) are `Int`s; structs have named fields.
 */
import { goJson } from "../../model/gojson.ts";

/** A Go int. */
export class Int {
  constructor(readonly value: number) {}
  toString(): string {
    return String(this.value);
  }
}

/** A Go struct: an unknown field is an error, not nothing. */
export class Struct {
  constructor(
    /** Go's type name, for errors. */
    readonly type: string,
    readonly fields: Readonly<Record<string, unknown>>,
    /** How it prints, when it has a String method. */
    readonly text?: () => string,
    /** How `json` writes it; its fields in order when absent. */
    readonly json?: () => string,
  ) {}
}

/** A map with a String method, such as a call's arguments: prints as JSON. */
export class TextMap {
  constructor(
    readonly entries: Readonly<Record<string, unknown>>,
    readonly text: () => string,
  ) {}
}

/** A list with a String method, such as the tools of a request: prints as JSON, and so do its slices. */
export class TextList extends Array<unknown> {
  text(): string {
    return this.json();
  }
  json(): string {
    return `[${Array.from(this, jsonValue).join(",")}]`;
  }
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Int) &&
    !(value instanceof Struct) &&
    !(value instanceof TextMap)
  );
}

/** Entries of anything map-like, keys in byte order. */
export function sortedEntries(value: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(value).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

export function isTrue(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (value instanceof Int) return value.value !== 0;
  if (value instanceof Struct) return true;
  if (value instanceof TextMap) return Object.keys(value.entries).length > 0;
  if (Array.isArray(value)) return value.length > 0;
  if (isMap(value)) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** A 64-bit float as `%v`: shortest digits, with an exponent below 1e-4 and from 1e6 up. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  if (Object.is(value, -0)) return "-0";
  const exponent = value === 0 ? 0 : Number(value.toExponential().split("e")[1]);
  return exponent < -4 || exponent >= 6 ? exponentText(value) : String(value);
}

function exponentText(value: number): string {
  return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
}

/** A value as Go's `print` shows it. `inside` lists and maps nil is `<nil>`. */
export function printValue(value: unknown, inside = false): string {
  if (value === undefined || value === null) return inside ? "<nil>" : "<no value>";
  if (typeof value === "string") return value;
  if (typeof value === "number") return floatText(value);
  if (value instanceof Int) return value.toString();
  if (typeof value === "boolean") return String(value);
  if (value instanceof TextMap) return value.text();
  if (value instanceof Struct) {
    if (value.text !== undefined) return value.text();
    return `{${Object.values(value.fields)
      .map((field) => printValue(field, true))
      .join(" ")}}`;
  }
  if (value instanceof TextList) return value.text();
  if (Array.isArray(value)) return `[${value.map((item) => printValue(item, true)).join(" ")}]`;
  const entries = sortedEntries(value as Record<string, unknown>);
  return `map[${entries.map(([key, item]) => `${key}:${printValue(item, true)}`).join(" ")}]`;
}

/** `json`: compact, maps sorted, `<>&` escaped. */
export function jsonValue(value: unknown): string {
  if (value instanceof Int) return value.toString();
  if (value instanceof TextMap) return jsonValue(value.entries);
  if (value instanceof Struct) {
    if (value.json !== undefined) return value.json();
    const entries = Object.entries(value.fields).map(
      ([key, item]) => `${JSON.stringify(key)}:${jsonValue(item)}`,
    );
    return `{${entries.join(",")}}`;
  }
  if (value instanceof TextList) return value.json();
  if (Array.isArray(value)) return `[${value.map(jsonValue).join(",")}]`;
  if (isMap(value)) {
    return `{${sortedEntries(value)
      .map(([key, item]) => `${goJson(key)}:${jsonValue(item)}`)
      .join(",")}}`;
  }
  return goJson(value);
}

/** Go's name of a value's type, for errors and `%T`-like notes. */
export function typeName(value: unknown): string {
  if (value === undefined || value === null) return "<nil>";
  if (value instanceof Int) return "int";
  if (value instanceof Struct) return value.type;
  if (value instanceof TextMap) return "map[string]interface {}";
  if (Array.isArray(value)) return "[]interface {}";
  if (typeof value === "number") return "float64";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return "string";
  return "map[string]interface {}";
}
