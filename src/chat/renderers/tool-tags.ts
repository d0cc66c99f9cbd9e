/** Tools as tags, which Qwen3-Coder and Nemotron 3 were trained on: alike but for order and spelling. */
import type { Tool, ToolProperty } from "../messages.ts";
import { parametersMembers, typesOf } from "./json.ts";

/** A member's name and text. */
type Member = readonly [name: string, text: string];

/** The texts of members; undefined ones are left out. */
export function written(
  members: Readonly<Record<string, unknown>>,
  write: (value: unknown) => string,
): Member[] {
  return Object.entries(members)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, write(value)]);
}

export interface TagDialect {
  description(text: string): string;
  /** Several types of one parameter. */
  types(names: readonly string[]): string;
  /** Of a parameter, behind its description. */
  members(property: ToolProperty): readonly Member[];
  /** Behind all parameters. */
  foot(parameters: ReturnType<typeof parametersMembers>): readonly Member[];
}

export function toolTags(tool: Tool, dialect: TagDialect): string {
  const { name, description, parameters } = tool.function;
  return (
    `\n<function>\n<name>${name}</name>` +
    descriptionTag(description, dialect) +
    "\n<parameters>" +
    Object.entries(parameters?.properties ?? {})
      .map(([key, property]) => parameterTags(key, property, dialect))
      .join("") +
    tagged(dialect.foot(parametersMembers(tool))) +
    "\n</parameters>\n</function>"
  );
}

function parameterTags(name: string, property: ToolProperty, dialect: TagDialect): string {
  const types = typesOf(property);
  const type = types.length > 1 ? dialect.types(types) : types[0];
  return (
    `\n<parameter>\n<name>${name}</name>` +
    (type === undefined ? "" : `\n<type>${type}</type>`) +
    descriptionTag(property.description, dialect) +
    tagged(dialect.members(property)) +
    "\n</parameter>"
  );
}

function descriptionTag(text: string | undefined, dialect: TagDialect): string {
  return text ? `\n<description>${dialect.description(text)}</description>` : "";
}

function tagged(members: readonly Member[]): string {
  return members.map(([name, text]) => `\n<${name}>${text}</${name}>`).join("");
}
