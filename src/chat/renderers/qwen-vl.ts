/** Qwen3-VL: ChatML with calls as JSON. */
import type { ChatMessage, Tool } from "../messages.ts";
import { jsonText, orderedArguments, toolMembers } from "./json.ts";
import { ImageMarkers, lastQuery, opensAnswer, type Renderer } from "./turns.ts";

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
function calls(message: ChatMessage, content: string): string {
  return (message.toolCalls ?? [])
    .map(({ function: fn }, i) => {
      const values = jsonText(orderedArguments(fn.arguments), { spaced: true });
      const gap = i > 0 || content !== "" ? "\n" : "";
      return `${gap}<tool_call>\n{"name": "${fn.name}", "arguments": ${values}}\n</tool_call>`;
    })
    .join("");
}

export function qwenVl(thinksByDefault: boolean): Renderer {
  return ({ messages, tools, think }) => {
    const thinks = think?.on ?? thinksByDefault;
    const images = new ImageMarkers();
    const query = lastQuery(messages);
    const first = messages[0]?.role === "system" ? messages[0] : undefined;
    const parts = first === undefined ? [] : [first.content];
    if (tools.length > 0) parts.push(`${toolsHead}${spacedTools(tools)}${toolsFoot}`);
    let out = parts.length > 0 ? `<|im_start|>system\n${parts.join("\n\n")}<|im_end|>\n` : "";
    for (const [i, message] of messages.entries()) {
      const content = images.spaced(message);
      if (message === first) continue;
      if (message.role === "assistant") {
        const thinking = thinks && i > query ? (message.thinking ?? "") : undefined;
        out += `<|im_start|>assistant\n${spoken(thinking, content, i === messages.length - 1)}`;
        out += calls(message, content);
        if (!opensAnswer(messages, i)) out += "<|im_end|>\n";
      } else if (message.role === "tool") {
        if (messages[i - 1]?.role !== "tool") out += "<|im_start|>user";
        out += `\n<tool_response>\n${content}\n</tool_response>`;
        if (messages[i + 1]?.role !== "tool") out += "<|im_end|>\n";
      } else if (message.role === "user" || message.role === "system") {
        out += `<|im_start|>${message.role}\n${content}<|im_end|>\n`;
      }
    }
    if (messages.length > 0 && !opensAnswer(messages, messages.length - 1)) {
      out += `<|im_start|>assistant\n${thinks ? "<think>\n" : ""}`;
    }
    return out;
  };
}

/** The content, with thinking in front where the model is still at the last question. */
function spoken(thinking: string | undefined, content: string, last: boolean): string {
  if (thinking === undefined || (!last && thinking === "")) return content;
  const trimmed = thinking.replace(/^\n+|\n+$/g, "");
  const text = content.replace(/^\n+/, "");
  return `<think>\n${trimmed}${content === "" ? "" : `\n</think>\n\n${text}`}`;
}
