/** DeepSeek V3.1. */
import type { ChatMessage, Tool } from "../messages.ts";
import { jsonText, orderedArguments, parametersMembers } from "./json.ts";
import { lastUser, type Renderer } from "./turns.ts";

function toolsText(tools: readonly Tool[]): string {
  const list = tools.map((tool) => {
    const { name, description = "" } = tool.function;
    return `\n### ${name}\nDescription: ${description}\n\nParameters: ${jsonText(parametersMembers(tool))}\n`;
  });
  return `

## Tools
You have access to the following tools:
${list.join("")}
IMPORTANT: ALWAYS adhere to this exact format for tool use:
<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>tool_call_name<｜tool▁sep｜>tool_call_arguments<｜tool▁call▁end｜>{{additional_tool_calls}}<｜tool▁calls▁end｜>

Where:

- \`tool_call_name\` must be an exact match to one of the available tools
- \`tool_call_arguments\` must be valid JSON that strictly follows the tool's Parameters Schema
- For multiple tool calls, chain them directly without separators or spaces
`;
}

function asks({ toolCalls = [] }: ChatMessage): boolean {
  return toolCalls.length > 0;
}

/** What stands before the end of inline thoughts is cut, but not beside calls or behind a tool's answer. */
function spoken(message: ChatMessage, afterTool: boolean): string {
  const { content, toolCalls = [] } = message;
  if (asks(message)) {
    const calls = toolCalls.map(({ function: fn }) => {
      const values = jsonText(orderedArguments(fn.arguments));
      return `<｜tool▁call▁begin｜>${fn.name}<｜tool▁sep｜>${values}<｜tool▁call▁end｜>`;
    });
    return `${content}<｜tool▁calls▁begin｜>${calls.join("")}<｜tool▁calls▁end｜>`;
  }
  const end = content.indexOf("</think>");
  return end < 0 || afterTool ? content : content.slice(end + "</think>".length);
}

export const deepseek31: Renderer = ({ messages, tools, think }) => {
  const thinks = think?.on === true;
  const query = lastUser(messages);
  const system = messages.filter(({ role }) => role === "system").map(({ content }) => content);
  let out = `<｜begin▁of▁sentence｜>${system.join("\n\n")}`;
  if (tools.length > 0) out += toolsText(tools);
  let previous: string | undefined;
  for (const [i, message] of messages.entries()) {
    const { role, content } = message;
    if (role === "user") out += `<｜User｜>${content}`;
    else if (role === "tool") out += `<｜tool▁output▁begin｜>${content}<｜tool▁output▁end｜>`;
    else if (role === "assistant") {
      if (previous === "user") {
        const shows = thinks && i > query && message.thinking && !asks(message);
        out += `<｜Assistant｜>${shows ? "<think>" : "</think>"}`;
      }
      out += `${spoken(message, previous === "tool")}<｜end▁of▁sentence｜>`;
    } else continue;
    previous = role;
  }
  return previous === "user" ? `${out}<｜Assistant｜>${thinks ? "<think>" : "</think>"}` : out;
};
