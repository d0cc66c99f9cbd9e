/** Gemma 4's declarations of tools: schemas with bare keys, types in capitals, texts between marks. */

import { printValue } from "../gotemplate/print.ts";
import type { Tool, ToolProperty } from "../messages.ts";
import { byBytes, typesOf } from "./json.ts";
import { looseNumber } from "./turns.ts";

export const quote = (text: string) => `<|"|>${text}<|"|>`;

type Schema = Readonly<Record<string, unknown>>;

/** A name with what stands behind its colon. */
type Part = readonly [name: string, text: string];

/** Keywords, which are no names of properties where properties stand among keywords. */
const keywords = new Set(["description", "type", "properties", "required", "nullable"]);

function block(parts: readonly Part[]): string {
  return `{${parts.map(([name, text]) => `${name}:${text}`).join(",")}}`;
}

function textList(texts: readonly string[]): string {
  return `[${texts.map(quote).join(",")}]`;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The types of a schema in capitals. */
function capitals(type: unknown): string[] {
  const names = typeof type === "string" ? [type] : texts(type);
  return names.map((name) => name.toUpperCase());
}

function typePart(names: readonly string[]): Part[] {
  const [first, ...others] = names;
  if (first === undefined) return [];
  return [["type", others.length > 0 ? textList(names) : quote(first)]];
}

function sortedKeys(schema: Schema): string[] {
  return Object.keys(schema).sort(byBytes);
}

/** Any JSON: as a schema's keywords hold it, with marked keys. */
function plain(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number") return looseNumber(value);
  if (Array.isArray(value)) return `[${value.map(plain).join(",")}]`;
  if (!isSchema(value)) return String(value);
  return `{${sortedKeys(value)
    .map((key) => `${quote(key)}:${plain(value[key])}`)
    .join(",")}}`;
}

/** A value of an enumeration, as Go prints it. */
function enumText(value: unknown): string {
  return quote(value === null ? "<nil>" : printValue(value));
}

/** A list's schema of items. */
function itemsText(items: Schema): string {
  const parts = sortedKeys(items).flatMap((key): string[] => {
    const value = items[key];
    if (value === null || value === undefined) return [];
    if (key === "properties") {
      return [`properties:${isSchema(value) ? propertiesText(value) : "{}"}`];
    }
    if (key === "required") return [`required:${textList(texts(value))}`];
    // A type that is none leaves its place empty.
    if (key === "type") {
      const [part] = typePart(capitals(value));
      return [part === undefined ? "" : part.join(":")];
    }
    return [`${key}:${plain(value)}`];
  });
  return `{${parts.join(",")}}`;
}

function propertiesText(properties: Schema): string {
  const parts = sortedKeys(properties).flatMap((name): Part[] => {
    const property = properties[name];
    return keywords.has(name) || !isSchema(property) ? [] : [[name, propertyText(property)]];
  });
  return block(parts);
}

function propertyText(schema: Schema): string {
  const { description, enum: values, items, nullable, properties, required } = schema;
  const types = capitals(schema.type);
  const parts: Part[] = [];
  if (typeof description === "string" && description !== "") {
    parts.push(["description", quote(description)]);
  }
  if (types[0] === "STRING" && Array.isArray(values) && values.length > 0) {
    parts.push(["enum", `[${values.map(enumText).join(",")}]`]);
  }
  if (types[0] === "ARRAY" && isSchema(items) && Object.keys(items).length > 0) {
    parts.push(["items", itemsText(items)]);
  }
  if (nullable === true) parts.push(["nullable", "true"]);
  if (types[0] === "OBJECT") {
    // Without properties its own keywords are looked through for some.
    parts.push(["properties", propertiesText(isSchema(properties) ? properties : schema)]);
    if (texts(required).length > 0) parts.push(["required", textList(texts(required))]);
  }
  return block([...parts, ...typePart(types)]);
}

/** A bare type says nothing but its name. */
function isBareType(property: ToolProperty): boolean {
  const { anyOf, items, description, enum: values, properties, required } = property;
  const lists = [anyOf, values, required];
  return (
    typesOf(property).length > 0 &&
    lists.every((list) => list === undefined || list.length === 0) &&
    [items, properties].every((part) => part === undefined || part === null) &&
    !description
  );
}

/** A property's types; alternatives count where each of them is a bare type. */
function ownTypes(property: ToolProperty): readonly string[] {
  const types = typesOf(property);
  if (types.length > 0) return types;
  const { anyOf = [] } = property;
  return anyOf.every(isBareType) ? [...new Set(anyOf.flatMap(typesOf))] : [];
}

/** A tool's property as a schema: several types become one text, a list as Python writes it. */
function schemaOf(property: ToolProperty): Schema {
  const types = ownTypes(property);
  const list = `[${types.map((type) => `'${type.toUpperCase()}'`).join(", ")}]`;
  const { description, enum: values, items, properties, required } = property;
  return {
    description,
    enum: values,
    items,
    required,
    type: types.length > 1 ? list : types[0],
    ...(properties ? { properties: schemasOf(properties) } : {}),
  };
}

function schemasOf(properties: Readonly<Record<string, ToolProperty>>): Schema {
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [name, schemaOf(property)]),
  );
}

export function declaration({ function: fn }: Tool): string {
  const { properties, required = [], type } = fn.parameters ?? {};
  const parts: Part[] = [];
  if (properties && Object.keys(properties).length > 0) {
    parts.push(["properties", propertiesText(schemasOf(properties))]);
  }
  if (required && required.length > 0) parts.push(["required", textList(required)]);
  if (type) parts.push(["type", quote(type.toUpperCase())]);
  const whole: Part[] = [["description", quote(fn.description ?? "")]];
  if (properties || type) whole.push(["parameters", block(parts)]);
  return `<|tool>declaration:${fn.name}${block(whole)}<tool|>`;
}
