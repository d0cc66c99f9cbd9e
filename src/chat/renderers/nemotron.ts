/** Nemotron 3: ChatML with calls as tags, values as Python prints them. */
import type { ChatMessage } from "../messages.ts";
import { jsonText, propertyMembers, sorted } from "./json.ts";
import { toolsFoot, toolsHead } from "./qwen-xml.ts";
import { type TagDialect, toolTags } from "./tool-tags.ts";
import { bareValue, ImageMarkers, lastUser, type Renderer } from "./turns.ts";

const style = { spaced: true } as const;

const dialect: TagDialect = {
  json: (value) => jsonText(value, style),
  types: (names) => `['${names.join("', '")}']`,
  members(property) {
    const members = propertyMembers(property);
    return [
      ["enum", members.enum],
      ["anyOf", members.anyOf],
      ["items", members.items],
      ["properties", members.properties],
      ["required", members.required],
    ];
  },
  foot: (required, definitions) => [
    ["$defs", definitions],
    ["required", required],
  ],
};

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
      tools.length > 0
        ? `${toolsHead}${tools.map((tool) => toolTags(tool, dialect)).join("")}${toolsFoot}`
        : "",
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
