/** LFM2: ChatML with calls as a Python list. */
import type { ChatMessage, Tool } from "../messages.ts";
import { jsonText, parametersMembers, sorted } from "./json.ts";
import { ImageMarkers, opensAnswer, type Renderer } from "./turns.ts";

function toolText({ function: fn, ...rest }: Tool): string {
  const description = fn.description ? `, "description": ${JSON.stringify(fn.description)}` : "";
  const parameters = jsonText(parametersMembers({ ...rest, function: fn }), { spaced: true });
  return `{"name": ${JSON.stringify(fn.name)}${description}, "parameters": ${parameters}}`;
}

function calls(message: ChatMessage): string {
  const list = (message.toolCalls ?? []).map(({ function: fn }) => {
    const values = Object.keys(fn.arguments)
      .sort()
      .map((key) => `${key}=${jsonText(sorted(fn.arguments[key]), { spaced: true, plain: true })}`);
    return `${fn.name}(${values.join(",")})`;
  });
  return list.length > 0 ? `<|tool_call_start|>[${list.join(",")}]<|tool_call_end|>` : "";
}

export function lfm2(thinks: boolean): Renderer {
  return ({ messages, tools }) => {
    const images = new ImageMarkers();
    const first = messages[0]?.role === "system" ? messages[0] : undefined;
    const list = tools.map(toolText).join(", ");
    const parts = [
      first?.content ?? "",
      tools.length > 0 ? `List of tools: <|tool_list_start|>[${list}]<|tool_list_end|>` : "",
    ].filter((part) => part !== "");
    let out = "<|startoftext|>";
    if (parts.length > 0) out += `<|im_start|>system\n${parts.join("\n")}<|im_end|>\n`;
    for (const [i, message] of messages.entries()) {
      if (message === first) continue;
      const content = images.mark(message, " ");
      out += `<|im_start|>${message.role}\n`;
      if (message.role === "assistant") {
        const call = calls(message);
        if (thinks && message.thinking) out += `<think>${message.thinking}</think>`;
        out += `${call}${call !== "" && content !== "" ? "\n" : ""}${content}`;
      } else if (message.role === "tool") {
        out += `<|tool_response_start|>${content}<|tool_response_end|>`;
      } else out += content;
      if (!opensAnswer(messages, i)) out += "<|im_end|>\n";
    }
    return opensAnswer(messages, messages.length - 1) ? out : `${out}<|im_start|>assistant\n`;
  };
}
