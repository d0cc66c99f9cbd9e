/** Nemotron 3: ChatML with calls as tags, values as Python prints them. */
import { goQuote } from "../../model/gojson.ts";
import type { ChatMessage, Conversation } from "../messages.ts";
import { jsonText, propertyMembers, sorted } from "./json.ts";
import { toolsFoot, toolsHead } from "./qwen-xml.ts";
import { type TagDialect, toolTags, written } from "./tool-tags.ts";
import { bareValue, ImageMarkers, lastUser, type Renderer } from "./turns.ts";

/** JSON with blanks, texts quoted as Go quotes them. */
function pythonJson(value: unknown): string {
  if (typeof value === "string") return goQuote(value);
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (typeof value !== "object" || value === null) return jsonText(value);
  const members = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${members.map(([key, item]) => `${goQuote(key)}: ${pythonJson(item)}`).join(", ")}}`;
}

function pythonValue(value: unknown): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (value === null || value === undefined) return "None";
  if (typeof value === "object") return pythonJson(sorted(value));
  return bareValue(value);
}

const dialect: TagDialect = {
  description: (text) => text.trim(),
  types: (names) => `['${names.join("', '")}']`,
  members(property) {
    const { enum: values, anyOf, items, properties, required } = propertyMembers(property);
    return written({ enum: values, anyOf, items, properties, required }, pythonJson);
  },
  foot: ({ $defs, items, required }) => [
    ...written({ $defs, items }, pythonValue),
    ...written({ required }, pythonJson),
  ],
};

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

/** Text and thoughts of a message; `compact`: the form of 3.5, without line breaks around thinking's end. */
function whole(message: ChatMessage, compact: boolean): string {
  const { content, thinking } = message;
  const gap = compact ? "" : "\n";
  if (thinking) return `<think>\n${thinking}${gap}</think>${gap}${content}`;
  return /<\/?think>/.test(content) ? content : `<think></think>${content}`;
}

/** `past`: before the last question, where thoughts are left out. */
function spoken(message: ChatMessage, past: boolean, compact: boolean): string {
  const text = whole(message, compact);
  const end = text.lastIndexOf("</think>");
  const answer = end < 0 ? undefined : text.slice(end + "</think>".length);
  if ((message.toolCalls ?? []).length === 0) {
    const cut = past && answer !== undefined && text.includes("<think>");
    return (cut ? `<think></think>${answer}` : text).trim();
  }
  const shown = past
    ? `<think></think>${(answer ?? text.split("<think>")[0] ?? "").trim()}`
    : text.trim();
  return `${shown}\n${calls(message)}`;
}

/** Without the words that switch thinking, which 3.0 reads out of texts. */
function withoutSwitches(text: string): string {
  return text
    .split("</think>")
    .map((part) => part.replaceAll("/think", "").replaceAll("/no_think", ""))
    .join("</think>");
}

/** Whether the answer is to begin with thoughts: as asked, or as the last such word says. */
function thinksOn({ messages, think }: Conversation, compact: boolean): boolean {
  let on = think?.on !== false;
  if (compact) return on;
  for (const { role, content } of messages) {
    if (role !== "user" && role !== "system") continue;
    if (content.replaceAll("</think>", "").includes("/think")) on = true;
    else if (content.includes("/no_think")) on = false;
  }
  return on;
}

export function nemotron(compact: boolean): Renderer {
  return (conversation) => {
    const { messages, tools, think } = conversation;
    const images = new ImageMarkers();
    const query = lastUser(messages);
    const efficient = compact && think?.named === true && think.level === "medium";
    const effort = efficient ? "\n\n{reasoning effort: efficient}" : "";
    const first = messages[0]?.role === "system" ? messages[0] : undefined;
    const given = first?.content ?? "";
    const parts = [
      compact ? given : withoutSwitches(given),
      tools.length > 0
        ? `${toolsHead}${tools.map((tool) => toolTags(tool, dialect)).join("")}${toolsFoot}`
        : "",
    ].filter((part) => part !== "");
    let out = `<|im_start|>system\n${parts.join("\n\n")}<|im_end|>\n`;
    for (const [i, message] of messages.entries()) {
      if (message === first) continue;
      const { role } = message;
      if (role === "tool") {
        const before = messages[i - 1];
        if (before !== undefined && before !== first && before.role !== "tool")
          out += "<|im_start|>user\n";
        out += `<tool_response>\n${images.spaced(message)}\n</tool_response>\n`;
        if (messages[i + 1]?.role !== "tool") out += "<|im_end|>\n";
      } else if (role === "assistant") {
        out += `<|im_start|>assistant\n${spoken(message, i < query, compact)}<|im_end|>\n`;
      } else if (role === "user" || role === "system") {
        const text = images.spaced(message);
        const shown = compact ? text : withoutSwitches(text).trim();
        out += `<|im_start|>${role}\n${shown}${i === query ? effort : ""}<|im_end|>\n`;
      } else out += `<|im_start|>${role}\n${message.content}<|im_end|>\n`;
    }
    const opening = thinksOn(conversation, compact) ? "<think>\n" : "<think></think>";
    return `${out}<|im_start|>assistant\n${opening}`;
  };
}
