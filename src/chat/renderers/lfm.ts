/** LFM2: ChatML with calls as a Python list. */
import type { ChatMessage, Tool } from "../messages.ts";
import { byBytes, functionMembers, jsonText, sorted, toolMembers } from "./json.ts";
import { ImageMarkers, type Renderer } from "./turns.ts";

const style = { spaced: true, plain: true } as const;
const thoughtsEnd = "</think>";

function toolText(tool: Tool): string {
  const members = tool.function.name === "" ? toolMembers(tool) : functionMembers(tool);
  return jsonText(members, style);
}

function calls(message: ChatMessage): string {
  const list = (message.toolCalls ?? []).map(({ function: fn }) => {
    const values = Object.keys(fn.arguments)
      .sort(byBytes)
      .map((key) => `${key}=${jsonText(sorted(fn.arguments[key]), style)}`);
    return `${fn.name}(${values.join(",")})`;
  });
  return list.length > 0 ? `<|tool_call_start|>[${list.join(",")}]<|tool_call_end|>` : "";
}

/** Thoughts, calls and text; what the text spells out already is not said twice. */
function spoken(message: ChatMessage, content: string, thinks: boolean): string {
  const call = content.includes("<|tool_call_start|>") ? "" : calls(message);
  const text = `${call}${call !== "" && content.trim() !== "" ? "\n" : ""}${content}`;
  const shown = thinks && message.thinking && !text.includes(thoughtsEnd);
  return shown ? `<think>${message.thinking}${thoughtsEnd}${text}` : text;
}

function withoutThoughts(text: string): string {
  const end = text.lastIndexOf(thoughtsEnd);
  return end < 0 ? text : text.slice(end + thoughtsEnd.length).trim();
}

export function lfm2(thinks: boolean): Renderer {
  return ({ messages, tools, think }) => {
    const images = new ImageMarkers();
    const first = messages[0]?.role === "system" ? messages[0] : undefined;
    const list = tools.map(toolText).join(", ");
    const parts = [
      first?.content ?? "",
      tools.length > 0 ? `List of tools: <|tool_list_start|>[${list}]<|tool_list_end|>` : "",
    ].filter((part) => part !== "");
    const answer = messages.findLastIndex(({ role }) => role === "assistant");
    const keeps = thinks && think?.on === true;
    let out = "<|startoftext|>";
    if (parts.length > 0) out += `<|im_start|>system\n${parts.join("\n")}<|im_end|>\n`;
    for (const [i, message] of messages.entries()) {
      const content = images.spaced(message);
      if (message === first) continue;
      out += `<|im_start|>${message.role}\n`;
      if (message.role === "assistant") {
        const text = spoken(message, content, thinks);
        out += keeps || i === answer ? text : withoutThoughts(text);
      } else if (message.role === "tool" && !content.includes("<|tool_response_start|>")) {
        out += `<|tool_response_start|>${content}<|tool_response_end|>`;
      } else out += content;
      if (i < messages.length - 1 || message.role !== "assistant") out += "<|im_end|>\n";
    }
    return messages.at(-1)?.role === "assistant" ? out : `${out}<|im_start|>assistant\n`;
  };
}
