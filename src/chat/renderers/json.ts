/**
 * JSON as the built-in renderers write it into prompts: members of tools in a fixed order, those of
 * other objects sorted, `<>&` escaped (template.md 1).
 */
import { goJson, goJsonString } from "../../model/gojson.ts";
import type { Tool, ToolProperty } from "../messages.ts";

type Members = Record<string, unknown>;

export interface JsonStyle {
  /** A blank behind `,` and `:`. */
  readonly spaced?: boolean;
  /** `<`, `>` and `&` are left as they are, but in members that `Escaped` holds. */
  readonly plain?: boolean;
}

/** Members that are escaped whatever the style: properties of tools, which the reference writes apart. */
export class Escaped {
  constructor(readonly members: Members) {}

  toJSON(): Members {
    return this.members;
  }
}

function plainString(text: string): string {
  return JSON.stringify(text).replace(
    /[\u2028\u2029]/g,
    (separator) => `\\u${separator.charCodeAt(0).toString(16)}`,
  );
}

/** Text of a value; members keep their order, undefined ones are left out. */
export function jsonText(value: unknown, style: JsonStyle = {}): string {
  const comma = style.spaced ? ", " : ",";
  const colon = style.spaced ? ": " : ":";
  const text = (item: string) => (style.plain ? plainString(item) : goJsonString(item));
  if (value instanceof Escaped) return jsonText(value.members, { ...style, plain: false });
  if (typeof value === "string") return text(value);
  if (Array.isArray(value)) return `[${value.map((item) => jsonText(item, style)).join(comma)}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).filter(([, item]) => item !== undefined);
    return `{${members.map(([key, item]) => `${text(key)}${colon}${jsonText(item, style)}`).join(comma)}}`;
  }
  return typeof value === "number" ? goJson(value) : JSON.stringify(value ?? null);
}

/** The order of keys: by their bytes. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The same value with the members of all its objects sorted. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => byBytes(a, b));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}

/** Arguments of a call: their own order, everything inside them sorted. */
export function orderedArguments(values: Readonly<Members>): Members {
  return Object.fromEntries(Object.entries(values).map(([key, item]) => [key, sorted(item)]));
}

/** What is missing or null is left out. */
function given(value: unknown): unknown {
  return value === null ? undefined : sorted(value);
}

function some<T>(list: readonly T[] | undefined): readonly T[] | undefined {
  return list !== undefined && list.length > 0 ? list : undefined;
}

/** The types of a property: none, one, or several. */
export function typesOf(property: ToolProperty): readonly string[] {
  const type: string | readonly string[] | null | undefined = property.type;
  if (type === undefined) return [];
  // Go reads null into a text as the empty one.
  return typeof type === "string" || type === null ? [type ?? ""] : type;
}

export function propertyMembers(property: ToolProperty): Members {
  const types = typesOf(property);
  return {
    anyOf: some(property.anyOf)?.map(propertyMembers),
    type: types.length > 1 ? types : types[0],
    items: given(property.items),
    description: property.description || undefined,
    enum: some(property.enum)?.map(sorted),
    properties: property.properties ? propertiesMembers(property.properties) : undefined,
    required: some(property.required),
  };
}

export function propertiesMembers(properties: Readonly<Record<string, ToolProperty>>): Members {
  return Object.fromEntries(
    Object.entries(properties).map(([key, property]) => [key, propertyMembers(property)]),
  );
}

export function parametersMembers(tool: Tool): Members {
  const parameters = tool.function.parameters ?? {};
  return {
    type: parameters.type ?? "",
    $defs: given(parameters.$defs),
    items: given(parameters.items),
    required: some(parameters.required),
    properties: parameters.properties
      ? new Escaped(propertiesMembers(parameters.properties))
      : null,
  };
}

/** A tool whole; an empty description is left out. */
export function toolMembers(tool: Tool): Members {
  return {
    type: tool.type ?? "",
    items: given(tool.items),
    function: functionMembers(tool),
  };
}

/** A tool's function; an empty description is left out. */
export function functionMembers(tool: Tool): Members {
  return {
    name: tool.function.name,
    description: tool.function.description || undefined,
    parameters: parametersMembers(tool),
  };
}
