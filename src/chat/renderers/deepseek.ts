/** DeepSeek V3.1. */
import type { Tool } from "../messages.ts";
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

export const deepseek31: Renderer = ({ messages, tools, think }) => {
  const thinks = think?.on === true;
  const query = lastUser(messages);
  const system = messages.filter(({ role }) => role === "system").map(({ content }) => content);
  let out = `<｜begin▁of▁sentence｜>${system.join("\n\n")}`;
  if (tools.length > 0) out += toolsText(tools);
  let afterUser = false;
  for (const [i, { role, content, toolCalls = [] }] of messages.entries()) {
    if (role === "user") {
      out += `<｜User｜>${content}`;
      afterUser = true;
    } else if (role === "tool") {
      out += `<｜tool▁output▁begin｜>${content}<｜tool▁output▁end｜>`;
      afterUser = false;
    } else if (role === "assistant") {
      if (afterUser) {
        const current = thinks && i > query && tools.length === 0;
        out += `<｜Assistant｜>${current ? "<think>" : "</think>"}`;
      }
      const end = content.indexOf("</think>");
      out += end < 0 ? content : content.slice(end + "</think>".length);
      if (toolCalls.length > 0) {
        const calls = toolCalls.map(({ function: fn }) => {
          const values = jsonText(orderedArguments(fn.arguments));
          return `<｜tool▁call▁begin｜>${fn.name}<｜tool▁sep｜>${values}<｜tool▁call▁end｜>`;
        });
        out += `<｜tool▁calls▁begin｜>${calls.join("")}<｜tool▁calls▁end｜>`;
      }
      out += "<｜end▁of▁sentence｜>";
      afterUser = false;
    }
  }
  return afterUser ? `${out}<｜Assistant｜>${thinks ? "<think>" : "</think>"}` : out;
};
