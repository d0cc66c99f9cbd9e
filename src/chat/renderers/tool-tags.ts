/** Tools as tags, which Qwen3-Coder and Nemotron 3 were trained on: alike but for order and spelling. */
import type { Tool, ToolProperty } from "../messages.ts";
import { sorted, typesOf } from "./json.ts";

/** What is left out when it is undefined. */
type Member = readonly [name: string, value: unknown];

export interface TagDialect {
  json(value: unknown): string;
  /** Several types of one parameter. */
  types(names: readonly string[]): string;
  /** Of a parameter, behind its description. */
  members(property: ToolProperty): readonly Member[];
  /** Behind all parameters. */
  foot(required: readonly string[] | undefined, definitions: unknown): readonly Member[];
}

export function toolTags({ function: fn }: Tool, dialect: TagDialect): string {
  const { properties = {}, required, $defs } = fn.parameters ?? {};
  const needed = required && required.length > 0 ? required : undefined;
  return (
    `\n<function>\n<name>${fn.name}</name>` +
    (fn.description ? `\n<description>${fn.description}</description>` : "") +
    "\n<parameters>" +
    Object.entries(properties)
      .map(([name, property]) => parameterTags(name, property, dialect))
      .join("") +
    tagged(dialect.foot(needed, sorted($defs)), dialect) +
    "\n</parameters>\n</function>"
  );
}

function parameterTags(name: string, property: ToolProperty, dialect: TagDialect): string {
  const types = typesOf(property);
  const type = types.length > 1 ? dialect.types(types) : types[0];
  return (
    `\n<parameter>\n<name>${name}</name>` +
    (type === undefined ? "" : `\n<type>${type}</type>`) +
    (property.description ? `\n<description>${property.description}</description>` : "") +
    tagged(dialect.members(property), dialect) +
    "\n</parameter>"
  );
}

function tagged(members: readonly Member[], { json }: TagDialect): string {
  return members
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `\n<${name}>${json(value)}</${name}>`)
    .join("");
}
