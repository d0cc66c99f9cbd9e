/** Nemotron 3: ChatML with calls as tags, values as Python prints them. */
import type { ChatMessage, Tool, ToolProperty } from "../messages.ts";
import { jsonText, propertyMembers, sorted, typesOf } from "./json.ts";
import { toolsFoot, toolsHead } from "./qwen-xml.ts";
import { bareValue, ImageMarkers, lastUser, type Renderer } from "./turns.ts";

const style = { spaced: true } as const;

function tagged(name: string, value: unknown): string {
  return value === undefined ? "" : `\n<${name}>${jsonText(value, style)}</${name}>`;
}

function parameter(name: string, property: ToolProperty): string {
  const types = typesOf(property);
  const type = types.length > 1 ? `['${types.join("', '")}']` : types[0];
  const members = propertyMembers(property);
  return (
    `\n<parameter>\n<name>${name}</name>` +
    (type === undefined ? "" : `\n<type>${type}</type>`) +
    (property.description ? `\n<description>${property.description}</description>` : "") +
    tagged("enum", members.enum) +
    tagged("anyOf", members.anyOf) +
    tagged("items", members.items) +
    tagged("properties", members.properties) +
    tagged("required", members.required) +
    "\n</parameter>"
  );
}

function toolTags({ function: fn }: Tool): string {
  const { properties = {}, required, $defs } = fn.parameters ?? {};
  return (
    `\n<function>\n<name>${fn.name}</name>` +
    (fn.description ? `\n<description>${fn.description}</description>` : "") +
    "\n<parameters>" +
    Object.entries(properties)
      .map(([name, property]) => parameter(name, property))
      .join("") +
    tagged("$defs", sorted($defs)) +
    tagged("required", required && required.length > 0 ? required : undefined) +
    "\n</parameters>\n</function>"
  );
}

function pythonValue(value: unknown): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (value === null || value === undefined) return "None";
  if (typeof value === "object") return jsonText(sorted(value), { ...style, plain: true });
  return bareValue(value);
}

function calls(message: ChatMessage): string {
  return (message.toolCalls ?? [])
    .map(({ function: fn }) => {
      const values = Object.entries(fn.arguments).map(
        ([key, value]) => `<parameter=${key}>\n${pythonValue(value)}\n</parameter>\n`,
      );
      return `<tool_call>\n<function=${fn.name}>\n${values.join("")}</function>\n</tool_call>\n`;
    })
    .join("");
}

/** `compact`: the form of 3.5, without line breaks around thinking's end. */
function spoken(message: ChatMessage, current: boolean, compact: boolean): string {
  const end = message.content.lastIndexOf("</think>");
  const content = end < 0 ? message.content : message.content.slice(end + "</think>".length);
  const thinking = (message.thinking ?? "").trim();
  const gap = compact ? "" : "\n";
  const call = calls(message);
  const head =
    thinking === ""
      ? "<think></think>"
      : current
        ? `<think>\n${thinking}${gap}</think>${gap}`
        : `<think></think>${call === "" ? gap : ""}`;
  const text = `${head}${content}`.trimEnd();
  return call === "" ? text : `${text}\n${call}`;
}

export function nemotron(compact: boolean): Renderer {
  return ({ messages, tools, think }) => {
    const images = new ImageMarkers();
    const query = lastUser(messages);
    const first = messages[0]?.role === "system" ? messages[0] : undefined;
    const parts = [
      first?.content ?? "",
      tools.length > 0 ? `${toolsHead}${tools.map(toolTags).join("")}${toolsFoot}` : "",
    ].filter((part) => part !== "");
    let out = `<|im_start|>system\n${parts.join("\n\n")}<|im_end|>\n`;
    for (const [i, message] of messages.entries()) {
      if (message === first) continue;
      const content = images.mark(message, " ");
      if (message.role === "tool") {
        if (messages[i - 1]?.role !== "tool") out += "<|im_start|>user\n";
        out += `<tool_response>\n${content}\n</tool_response>\n`;
        if (messages[i + 1]?.role !== "tool") out += "<|im_end|>\n";
      } else if (message.role === "assistant") {
        out += `<|im_start|>assistant\n${spoken(message, i > query, compact)}<|im_end|>\n`;
      } else {
        const text = message.role === "user" && !compact ? content.trim() : content;
        const efficient =
          compact && i === query && think?.named === true && think.level === "medium";
        const effort = efficient ? "\n\n{reasoning effort: efficient}" : "";
        out += `<|im_start|>${message.role}\n${text}${effort}<|im_end|>\n`;
      }
    }
    return `${out}<|im_start|>assistant\n${think?.on === false ? "<think></think>" : "<think>\n"}`;
  };
}
