/** Arguments of a tool, one by one: how a format that does not write them as one JSON object has them. */
import type { Tool, ToolProperty } from "../../chat/messages.ts";

export interface Argument {
  readonly key: string;
  readonly required: boolean;
  readonly property: ToolProperty;
  /**
   * - `text`: any text, as it is;
   * - `choice`: one of `values`, as it is;
   * - `flag`: true or false;
   * - `json`: a JSON value of its schema.
   */
  readonly kind: "text" | "choice" | "flag" | "json";
  readonly values: readonly string[];
}

function typesOf(property: ToolProperty): readonly string[] {
  const { type, anyOf } = property;
  if (anyOf !== undefined) return anyOf.flatMap(typesOf);
  return typeof type === "string" ? [type] : (type ?? []);
}

function kindOf(property: ToolProperty): Pick<Argument, "kind" | "values"> {
  const types = typesOf(property);
  const values = property.enum ?? [];
  if (types.length > 0 && !types.includes("string")) {
    const [only] = types;
    return { kind: types.length === 1 && only === "boolean" ? "flag" : "json", values: [] };
  }
  const texts = values.filter((value) => typeof value === "string" && value !== "");
  return texts.length > 0 && texts.length === values.length
    ? { kind: "choice", values: texts as string[] }
    : { kind: "text", values: [] };
}

/** In the order in which the tool names them. */
export function argumentsOf({ function: { parameters } }: Tool): Argument[] {
  const required = new Set(parameters?.required ?? []);
  return Object.entries(parameters?.properties ?? {}).map(([key, property]) => ({
    key,
    required: required.has(key),
    property,
    ...kindOf(property),
  }));
}
