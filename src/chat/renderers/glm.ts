/** GLM-4.7 and GLM-OCR. */
import type { ChatMessage, Tool } from "../messages.ts";
import { spacedTools } from "./qwen-vl.ts";
import { ImageMarkers, plainValue, type Renderer } from "./turns.ts";

function toolsText(tools: readonly Tool[]): string {
  return `<|system|>
# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>${spacedTools(tools)}
</tools>

For each function call, output the function name and arguments within the following XML format:
<tool_call>{function-name}<arg_key>{arg-key-1}</arg_key><arg_value>{arg-value-1}</arg_value><arg_key>{arg-key-2}</arg_key><arg_value>{arg-value-2}</arg_value>...</tool_call>`;
}

function calls(message: ChatMessage, gap = ""): string {
  return (message.toolCalls ?? [])
    .map(({ function: fn }) => {
      const values = Object.entries(fn.arguments).map(
        ([key, value]) => `<arg_key>${key}</arg_key><arg_value>${plainValue(value)}</arg_value>`,
      );
      return `${gap}<tool_call>${fn.name}${values.join("")}</tool_call>`;
    })
    .join("");
}

export const glm47: Renderer = ({ messages, tools, think }) => {
  let out = "[gMASK]<sop>";
  if (tools.length > 0) out += toolsText(tools);
  for (const [i, message] of messages.entries()) {
    const { role, content, thinking = "" } = message;
    if (role === "tool") {
      if (messages[i - 1]?.role !== "tool") out += "<|observation|>";
      out += `<tool_response>${content}</tool_response>`;
    } else if (role === "assistant") {
      const shown = thinking === "" ? "</think>" : `<think>${thinking}</think>`;
      out += `<|assistant|>${shown}${content}${calls(message)}`;
    } else if (role === "user" || role === "system") out += `<|${role}|>${content}`;
  }
  return `${out}<|assistant|>${think?.on === false ? "</think>" : "<think>"}`;
};

export const glmOcr: Renderer = ({ messages, tools, think }) => {
  const off = think?.on === false;
  const images = new ImageMarkers();
  let out = "[gMASK]<sop>";
  if (tools.length > 0) out += toolsText(tools);
  for (const [i, message] of messages.entries()) {
    const { role, content, thinking = "" } = message;
    if (role === "tool") {
      if (messages[i - 1]?.role !== "tool") out += "<|observation|>";
      out += `\n<tool_response>\n${images.spaced(message)}\n</tool_response>\n`;
    } else if (role === "assistant") {
      const text = content === "" ? "" : `\n${content.trim()}`;
      out += `<|assistant|>\n<think>${thinking.trim()}</think>${text}${calls(message, "\n")}\n`;
    } else if (role === "user") {
      const told = off && !content.endsWith("/nothink");
      out += `<|user|>\n${images.spaced(message)}${told ? "/nothink" : ""}`;
    } else if (role === "system") out += `<|system|>\n${content}\n`;
  }
  return `${out}<|assistant|>\n${off ? "<think></think>\n" : ""}`;
};
