/** Messages and tools as Go templates see them (template.md 1). */
import { goJsonString } from "../model/gojson.ts";
import { jsonValue, Struct, TextList, TextMap } from "./gotemplate/values.ts";
import type { ChatMessage, Conversation, Tool, ToolCall } from "./messages.ts";

type Json = Readonly<Record<string, unknown>>;

function object(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Json)
    : {};
}

/** JSON of members in their order; undefined ones are left out. */
function members(entries: readonly (readonly [string, string | undefined])[]): string {
  const kept = entries.filter(([, text]) => text !== undefined);
  return `{${kept.map(([key, text]) => `${goJsonString(key)}:${text}`).join(",")}}`;
}

function jsonOrNothing(value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : jsonValue(value);
}

function listOrNothing(list: unknown): string | undefined {
  return Array.isArray(list) && list.length > 0 ? jsonValue(list) : undefined;
}

function types(value: unknown): string[] {
  // Go reads null into a text as the empty one.
  if (typeof value === "string" || value === null) return [value ?? ""];
  return Array.isArray(value) ? value.map(String) : [];
}

/** A list of type names: prints the word when it is one, nothing when it is empty. */
class TypeList extends TextList {
  override text(): string {
    return this.length > 1 ? `[${this.join(" ")}]` : String(this[0] ?? "");
  }
  override json(): string {
    return this.length === 1 ? jsonValue(this[0]) : super.json();
  }
}

function propertyValue(value: unknown): Struct {
  const property = object(value);
  const list = TypeList.from(types(property.type));
  const anyOf = Array.isArray(property.anyOf) ? property.anyOf.map(propertyValue) : [];
  const properties = property.properties ? propertiesValue(property.properties) : undefined;
  const required = Array.isArray(property.required) ? property.required.map(String) : [];
  const text = () =>
    members([
      ["anyOf", listOrNothing(anyOf)],
      ["type", list.length > 0 ? jsonValue(list) : undefined],
      ["items", jsonOrNothing(property.items)],
      ["description", property.description ? jsonValue(property.description) : undefined],
      ["enum", listOrNothing(property.enum)],
      ["properties", properties === undefined ? undefined : nestedText(property.properties)],
      ["required", listOrNothing(required)],
    ]);
  return new Struct(
    "api.ToolProperty",
    {
      AnyOf: anyOf,
      Type: list,
      Items: property.items,
      Description: property.description ?? "",
      Enum: Array.isArray(property.enum) ? property.enum : [],
      Properties: properties,
      Required: required,
    },
    text,
    text,
  );
}

/** Properties inside a property keep their order, unlike those of a tool. */
function nestedText(value: unknown): string {
  return members(
    Object.entries(object(value)).map(([key, item]) => [key, jsonValue(propertyValue(item))]),
  );
}

function propertiesValue(value: unknown): TextMap {
  const entries = Object.fromEntries(
    Object.entries(object(value)).map(([key, item]) => [key, propertyValue(item)]),
  );
  return new TextMap(entries, () => jsonValue(entries));
}

function toolValue(tool: Tool): Struct {
  const fn = object(tool.function);
  const parameters = object(fn.parameters);
  const properties = propertiesValue(parameters.properties);
  const required = Array.isArray(parameters.required) ? parameters.required.map(String) : [];
  const parametersText = () =>
    members([
      ["type", jsonValue(parameters.type ?? "")],
      ["$defs", jsonOrNothing(parameters.$defs)],
      ["items", jsonOrNothing(parameters.items)],
      ["required", listOrNothing(required)],
      ["properties", parameters.properties ? jsonValue(properties) : "null"],
    ]);
  const functionText = () =>
    members([
      ["name", jsonValue(fn.name ?? "")],
      ["description", jsonValue(fn.description ?? "")],
      ["parameters", parametersText()],
    ]);
  const text = () =>
    members([
      ["type", jsonValue(tool.type ?? "")],
      ["items", jsonOrNothing(tool.items)],
      ["function", functionText()],
    ]);
  const parametersStruct = new Struct(
    "api.ToolFunctionParameters",
    {
      Type: parameters.type ?? "",
      Defs: parameters.$defs,
      Items: parameters.items,
      Required: required,
      Properties: properties,
    },
    parametersText,
    parametersText,
  );
  const functionStruct = new Struct(
    "api.ToolFunction",
    { Name: fn.name ?? "", Description: fn.description ?? "", Parameters: parametersStruct },
    functionText,
    functionText,
  );
  return new Struct(
    "api.Tool",
    { Type: tool.type ?? "", Items: tool.items, Function: functionStruct },
    text,
    text,
  );
}

/** The tools of a conversation: falsy, and printing `null` when no list was sent. */
export function toolsValue({ tools, toolsSent }: Conversation): unknown {
  if (tools.length === 0 && toolsSent !== true) return new TextMap({}, () => "null");
  return TextList.from(tools, toolValue);
}

function callValue(call: ToolCall, index: number): Struct {
  const arguments_ = call.function.arguments;
  return new Struct("api.ToolCall", {
    ID: call.id ?? "",
    Function: new Struct("api.ToolCallFunction", {
      Index: call.function.index ?? index,
      Name: call.function.name,
      Arguments: new TextMap(arguments_, () => jsonValue(arguments_)),
    }),
  });
}

export function messageValue(message: ChatMessage): Struct {
  return new Struct("api.Message", {
    Role: message.role,
    Content: message.content,
    Thinking: message.thinking ?? "",
    Images: message.images ?? [],
    ToolCalls: (message.toolCalls ?? []).map(callValue),
    ToolName: message.toolName ?? "",
    ToolCallID: message.toolCallId ?? "",
  });
}
