/** Qwen3-VL: ChatML with calls as JSON. */
import type { ChatMessage, Tool } from "../messages.ts";
import { jsonText, orderedArguments, toolMembers } from "./json.ts";
import { ImageMarkers, lastUser, opensAnswer, type Renderer } from "./turns.ts";

const toolsHead = `# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>`;

const toolsFoot = `
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>`;

export function spacedTools(tools: readonly Tool[]): string {
  return tools.map((tool) => `\n${jsonText(toolMembers(tool), { spaced: true })}`).join("");
}

/** Calls as JSON, one to a mark. */
function calls(message: ChatMessage): string {
  return (message.toolCalls ?? [])
    .map(({ function: fn }, i) => {
      const values = jsonText(orderedArguments(fn.arguments), { spaced: true });
      const gap = i > 0 || message.content !== "" ? "\n" : "";
      return `${gap}<tool_call>\n{"name": ${JSON.stringify(fn.name)}, "arguments": ${values}}\n</tool_call>`;
    })
    .join("");
}

export function qwenVl(thinksByDefault: boolean): Renderer {
  return ({ messages, tools, think }) => {
    const thinks = think?.on ?? thinksByDefault;
    const images = new ImageMarkers();
    const query = lastUser(messages);
    let out = "";
    let start = 0;
    if (tools.length > 0) {
      const system = messages[0]?.role === "system" ? `${messages[0].content}\n\n` : "";
      if (messages[0]?.role === "system") start = 1;
      out += `<|im_start|>system\n${system}${toolsHead}${spacedTools(tools)}${toolsFoot}<|im_end|>\n`;
    }
    for (const [i, message] of messages.entries()) {
      if (i < start) continue;
      const content = images.mark(message, " ");
      if (message.role === "assistant") {
        out += `<|im_start|>assistant\n${spoken(message, thinks && i > query, i === messages.length - 1)}`;
        out += calls(message);
        if (!opensAnswer(messages, i)) out += "<|im_end|>\n";
      } else if (message.role === "tool") {
        if (messages[i - 1]?.role !== "tool") out += "<|im_start|>user";
        out += `\n<tool_response>\n${content}\n</tool_response>`;
        if (messages[i + 1]?.role !== "tool") out += "<|im_end|>\n";
      } else out += `<|im_start|>${message.role}\n${content}<|im_end|>\n`;
    }
    if (messages.length > 0 && !opensAnswer(messages, messages.length - 1)) {
      out += `<|im_start|>assistant\n${thinks ? "<think>\n" : ""}`;
    }
    return out;
  };
}

/** The content, with thinking in front where the model is still at the last question. */
function spoken(message: ChatMessage, current: boolean, last: boolean): string {
  const thinking = message.thinking ?? "";
  if (!current || (!last && thinking === "")) return message.content;
  const trimmed = thinking.replace(/^\n+|\n+$/g, "");
  const content = message.content.replace(/^\n+/, "");
  return `<think>\n${trimmed}${message.content === "" ? "" : `\n</think>\n\n${content}`}`;
}
