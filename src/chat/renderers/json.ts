/**
 * JSON as the built-in renderers write it into prompts: members of tools in a fixed order, those of
 * other objects sorted, `<>&` escaped (template.md 1).
 */
import { goJsonString } from "../../model/gojson.ts";
import type { Tool, ToolProperty } from "../messages.ts";

type Members = Record<string, unknown>;

export interface JsonStyle {
  /** A blank behind `,` and `:`. */
  readonly spaced?: boolean;
  /** `<`, `>` and `&` are left as they are. */
  readonly plain?: boolean;
}

/** Text of a value; members keep their order, undefined ones are left out. */
export function jsonText(value: unknown, style: JsonStyle = {}): string {
  const comma = style.spaced ? ", " : ",";
  const colon = style.spaced ? ": " : ":";
  const text = (item: string) => (style.plain ? JSON.stringify(item) : goJsonString(item));
  if (typeof value === "string") return text(value);
  if (Array.isArray(value)) return `[${value.map((item) => jsonText(item, style)).join(comma)}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).filter(([, item]) => item !== undefined);
    return `{${members.map(([key, item]) => `${text(key)}${colon}${jsonText(item, style)}`).join(comma)}}`;
  }
  return JSON.stringify(value ?? null);
}

/** The same value with the members of all its objects sorted. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}

/** Arguments of a call: their own order, everything inside them sorted. */
export function orderedArguments(values: Readonly<Members>): Members {
  return Object.fromEntries(Object.entries(values).map(([key, item]) => [key, sorted(item)]));
}

function some<T>(list: readonly T[] | undefined): readonly T[] | undefined {
  return list !== undefined && list.length > 0 ? list : undefined;
}

/** The types of a property: none, one, or several. */
export function typesOf(property: ToolProperty): readonly string[] {
  if (property.type === undefined) return [];
  return typeof property.type === "string" ? [property.type] : property.type;
}

export function propertyMembers(property: ToolProperty): Members {
  const types = typesOf(property);
  return {
    anyOf: some(property.anyOf)?.map(propertyMembers),
    type: types.length > 1 ? types : types[0],
    items: sorted(property.items),
    description: property.description || undefined,
    enum: some(property.enum),
    properties: property.properties && propertiesMembers(property.properties),
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
    $defs: sorted(parameters.$defs),
    items: sorted(parameters.items),
    required: some(parameters.required),
    properties: propertiesMembers(parameters.properties ?? {}),
  };
}

/** A tool whole; an empty description is left out. */
export function toolMembers(tool: Tool): Members {
  return {
    type: tool.type ?? "",
    items: sorted(tool.items),
    function: functionMembers(tool),
  };
}

function functionMembers(tool: Tool): Members {
  return {
    name: tool.function.name,
    description: tool.function.description || undefined,
    parameters: parametersMembers(tool),
  };
}
