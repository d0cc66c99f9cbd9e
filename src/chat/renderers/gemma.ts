/** Gemma 4: turns with strings marked by `<|"|>`; a tool's round is one turn of the model. */
import type { ChatMessage, Tool, ToolProperty } from "../messages.ts";
import { typesOf } from "./json.ts";
import { ImageMarkers, lastUser, type Renderer } from "./turns.ts";

const quote = (text: string) => `<|"|>${text}<|"|>`;

/** How text and nothing are written. */
export interface LooseStyle {
  readonly text: (text: string) => string;
  readonly nil: string;
}

const marked: LooseStyle = { text: quote, nil: "null" };

/** A value as JSON with bare keys, sorted. */
function looseValue(value: unknown, style: LooseStyle): string {
  if (typeof value === "string") return style.text(value);
  if (Array.isArray(value)) return `[${value.map((item) => looseValue(item, style)).join(",")}]`;
  if (value === null || value === undefined) return style.nil;
  if (typeof value !== "object") return JSON.stringify(value);
  return looseMembers(value as Record<string, unknown>, style);
}

export function looseMembers(values: Readonly<Record<string, unknown>>, style: LooseStyle): string {
  const keys = Object.keys(values)
    .filter((key) => values[key] !== undefined)
    .sort();
  return `{${keys.map((key) => `${key}:${looseValue(values[key], style)}`).join(",")}}`;
}

/** Types in capitals, several as a list of Python's. */
function typeText(property: ToolProperty): string | undefined {
  const own = typesOf(property);
  const types = own.length > 0 ? own : (property.anyOf ?? []).flatMap(typesOf);
  const capitals = types.map((type) => type.toUpperCase());
  return capitals.length > 1 ? `['${capitals.join("', '")}']` : capitals[0];
}

/** A schema inside a list's, where any keyword may stand. */
function itemsMembers(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      if (key === "type" && typeof item === "string") return [key, item.toUpperCase()];
      return [key, itemsMembers(item)];
    }),
  );
}

function propertyMembers(property: ToolProperty): Record<string, unknown> {
  const isText = typesOf(property).length === 1 && typesOf(property)[0] === "string";
  return {
    description: property.description || undefined,
    enum: isText && property.enum?.length ? property.enum : undefined,
    items: property.items === undefined ? undefined : itemsMembers(property.items),
    properties: property.properties && propertiesMembers(property.properties),
    required: property.required?.length ? property.required : undefined,
    type: typeText(property),
  };
}

function propertiesMembers(properties: Readonly<Record<string, ToolProperty>>) {
  return Object.fromEntries(
    Object.entries(properties).map(([key, property]) => [key, propertyMembers(property)]),
  );
}

function declaration({ function: fn }: Tool): string {
  const { properties = {}, required, type } = fn.parameters ?? {};
  const parameters = {
    properties: Object.keys(properties).length > 0 ? propertiesMembers(properties) : undefined,
    required: required && required.length > 0 ? required : undefined,
    type: type?.toUpperCase(),
  };
  const text = looseMembers({ description: fn.description ?? "", parameters }, marked);
  return `<|tool>declaration:${fn.name}${text}<tool|>`;
}

function calls(message: ChatMessage): string {
  return (message.toolCalls ?? [])
    .map(
      ({ function: fn }) =>
        `<|tool_call>call:${fn.name}${looseMembers(fn.arguments, marked)}<tool_call|>`,
    )
    .join("");
}

function response(message: ChatMessage, images: ImageMarkers): string {
  const content = images.mark(message, " ").trim();
  const name = message.toolName || "unknown";
  return `<|tool_response>response:${name}{value:${quote(content)}}<tool_response|>`;
}

/** `closesThinking`: an empty channel of thoughts stands for no thinking, as large models want it. */
export function gemma4(closesThinking: boolean): Renderer {
  return ({ messages, tools, think }) => {
    const thinks = think?.on === true;
    const images = new ImageMarkers();
    const query = lastUser(messages);
    const system = messages[0]?.role === "system" ? messages[0] : undefined;
    let out = "<bos>";
    if (system !== undefined || tools.length > 0 || thinks) {
      const text = `${thinks ? "<|think|>\n" : ""}${system?.content.trim() ?? ""}`;
      out += `<|turn>system\n${text}${tools.map(declaration).join("")}<turn|>\n`;
    }
    let open = false;
    for (let i = system === undefined ? 0 : 1; i < messages.length; i++) {
      const message = messages[i];
      if (message === undefined) break;
      if (message.role !== "assistant") {
        if (open) out += "<turn|>\n";
        open = false;
        const content = images.mark(message, " ").trim();
        out += `<|turn>${message.role}\n${content}<turn|>\n`;
        continue;
      }
      if (!open) out += "<|turn>model\n";
      const thought = message.thinking ?? "";
      if (i > query && thought !== "") out += `<|channel>thought\n${thought}\n<channel|>`;
      out += calls(message);
      const asked = (message.toolCalls ?? []).length > 0;
      let answered = false;
      for (let next = messages[i + 1]; next?.role === "tool"; next = messages[++i + 1]) {
        out += response(next, images);
        answered = true;
      }
      const content = message.content.trim();
      out += content;
      // The turn goes on with the model's next message.
      open = (asked && answered) || messages[i + 1]?.role === "assistant";
      if (!open) out += "<turn|>\n";
    }
    if (open) return thinks ? `${out}<|channel>thought\n` : out;
    return `${out}<|turn>model\n${closesThinking && !thinks ? "<|channel>thought\n<channel|>" : ""}`;
  };
}
