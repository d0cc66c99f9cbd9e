/**
 * Values of templates, by Go's types: JSON values are JavaScript's own (numbers are float64), Go's int
 * is a bigint, structs have named fields. `undefined` is Go's invalid value, `null` a nil interface:
 * a field of the first is nothing, a field of the second an error.
 */
import { goJson } from "../../model/gojson.ts";
import { compareBytes } from "./bytes.ts";

/** A complex128; only literals are. */
export class Complex {
  constructor(
    readonly real: number,
    readonly imaginary: number,
  ) {}
}

/** A uint8, what `index` takes out of a string. */
export class Byte {
  constructor(readonly value: bigint) {}
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

/** A list that was never made: empty, equal to nil, `null` as JSON. */
export class NilList extends TextList {
  override text(): string {
    return "[]";
  }
  override json(): string {
    return "null";
  }
}

export function isNothing(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Complex) &&
    !(value instanceof Byte) &&
    !(value instanceof Struct) &&
    !(value instanceof TextMap)
  );
}

/** The entries of a map, of either sort; undefined for anything else. */
export function entriesOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (value instanceof TextMap) return value.entries;
  return isMap(value) ? value : undefined;
}

/** Entries of anything map-like, keys in byte order. */
export function sortedEntries(value: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(value).sort(([a], [b]) => compareBytes(a, b));
}

export function isTrue(value: unknown): boolean {
  if (typeof value === "number") return value !== 0;
  if (typeof value !== "object" || value === null) return Boolean(value);
  if (value instanceof Struct) return true;
  if (value instanceof Byte) return value.value !== 0n;
  if (value instanceof Complex) return value.real !== 0 || value.imaginary !== 0;
  if (Array.isArray(value)) return value.length > 0;
  for (const _ in entriesOf(value)) return true;
  return false;
}

/** The String method of a value, if it has one. */
export function textOf(value: unknown): (() => string) | undefined {
  if (value instanceof TextMap || value instanceof Struct) return value.text;
  return value instanceof TextList ? () => value.text() : undefined;
}

/** A text as JSON; bytes that are no UTF-8 become the escape of the replacement character. */
function jsonText(text: string): string {
  if (text.isWellFormed()) return goJson(text);
  const parts = Array.from(text, (character) =>
    character.isWellFormed() ? goJson(character).slice(1, -1) : "\\ufffd",
  );
  return `"${parts.join("")}"`;
}

/** `json`: compact, maps sorted, `<>&` escaped; nothing for what JSON has no form for. */
export function jsonValue(value: unknown): string {
  if (typeof value === "string") return jsonText(value);
  if (value instanceof Byte) return String(value.value);
  if (value instanceof TextMap) return jsonValue(value.entries);
  if (value instanceof Struct) {
    if (value.json !== undefined) return value.json();
    const entries = Object.entries(value.fields).map(
      ([key, item]) => `${JSON.stringify(key)}:${jsonValue(item)}`,
    );
    return `{${entries.join(",")}}`;
  }
  if (value instanceof TextList) return value.json();
  if (value instanceof Complex || (typeof value === "number" && !Number.isFinite(value))) return "";
  if (Array.isArray(value)) return `[${value.map(jsonValue).join(",")}]`;
  if (isMap(value)) {
    const entries = sortedEntries(value).map(
      ([key, item]) => `${jsonText(key)}:${jsonValue(item)}`,
    );
    return `{${entries.join(",")}}`;
  }
  return goJson(value);
}

/** Go's name of a value's type, for errors and `%T`. */
export function typeName(value: unknown): string {
  switch (typeof value) {
    case "bigint":
      return "int";
    case "number":
      return "float64";
    case "boolean":
      return "bool";
    case "string":
      return "string";
  }
  if (isNothing(value)) return "<nil>";
  if (value instanceof Struct) return value.type;
  if (value instanceof Complex) return "complex128";
  if (value instanceof Byte) return "uint8";
  return Array.isArray(value) ? "[]interface {}" : "map[string]interface {}";
}
