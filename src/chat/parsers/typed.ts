/** Values that a model wrote as bare text, made what the tool's schema says (output-parsing.md 5). */
import type { Tool, ToolProperty } from "../messages.ts";
import { isObject } from "../output.ts";
import { typesOf as ownTypes } from "../renderers/json.ts";

function typesOf(property: ToolProperty | undefined): readonly string[] {
  if (property === undefined) return [];
  const { anyOf = [] } = property;
  return anyOf.length > 0 ? anyOf.flatMap(ownTypes) : ownTypes(property);
}

function whole(text: string): number | undefined {
  // There is no negative zero among whole numbers.
  return /^[+-]?\d+$/.test(text) ? Number(text) + 0 : undefined;
}

function decimal(text: string): number | undefined {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return undefined;
  const value = Number(text) + 0;
  return Number.isFinite(value) ? value : undefined;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asType(text: string, type: string): unknown {
  switch (type) {
    case "boolean": {
      const lower = text.toLowerCase();
      return lower === "true" ? true : lower === "false" ? false : undefined;
    }
    case "integer":
      return whole(text);
    case "number":
      return decimal(text);
    case "array": {
      const value = json(text);
      return Array.isArray(value) ? value : undefined;
    }
    case "object": {
      const value = json(text);
      return isObject(value) ? value : undefined;
    }
    default:
      return undefined;
  }
}

const order = ["boolean", "integer", "number", "array", "object"];

/** `null` in any case is null; undeclared parameters are strings; unions take the first type that fits. */
export function typedValue(text: string, property: ToolProperty | undefined): unknown {
  if (text.toLowerCase() === "null") return null;
  const types = typesOf(property);
  const [only] = types;
  if (types.length === 1 && only !== undefined) {
    const value = asType(text, only);
    return value ?? (only === "boolean" ? false : text);
  }
  for (const type of order) {
    if (!types.includes(type)) continue;
    const value = asType(text, type);
    if (value !== undefined) return value;
  }
  return text;
}

/** The same of text between tags: a line break at its beginning and one at its end are not part of it. */
export function parameterValue(text: string, property: ToolProperty | undefined): unknown {
  return typedValue(text.replace(/^\n/, "").replace(/\n$/, ""), property);
}

/** The declared parameters of a tool; none for an undeclared one. */
export function propertiesOf(
  tools: readonly Tool[],
  name: string,
): Readonly<Record<string, ToolProperty>> {
  const tool = tools.find((one) => one.function.name === name);
  return tool?.function.parameters?.properties ?? {};
}
