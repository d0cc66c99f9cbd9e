/** Cogito: DeepSeek's turns with calls in fenced JSON. */
import type { ChatMessage } from "../messages.ts";
import { jsonText, orderedArguments, toolMembers } from "./json.ts";
import type { Renderer } from "./turns.ts";

const introduction =
  "You are Cogito, an AI assistant created by Deep Cogito, which is an AI research lab based in San Francisco.";

const spokenRoles = ["user", "assistant", "tool"];

/** Go's indented JSON. */
function indented(value: unknown): string {
  return JSON.stringify(value, null, 4).replace(
    /[<>&]/g,
    (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`,
  );
}

function calls(message: ChatMessage): string {
  const list = (message.toolCalls ?? []).map(({ function: fn }) => {
    const values = jsonText(orderedArguments(fn.arguments));
    return `<｜tool▁call▁begin｜>function<｜tool▁sep｜>${fn.name}\n\`\`\`json\n${values}\n\`\`\`<｜tool▁call▁end｜>`;
  });
  if (list.length === 0) return "";
  return `<｜tool▁calls▁begin｜>${list.join("\n")}<｜tool▁calls▁end｜>`;
}

export const cogito: Renderer = ({ messages, tools, think }) => {
  const thinks = think?.on === true;
  const first = messages[0]?.role === "system" ? messages[0].content : "";
  let out = `<｜begin▁of▁sentence｜>${thinks ? "Enable deep thinking subroutine.\n\n" : ""}${introduction}`;
  if (first !== "") out += `\n\n${first}${thinks ? "\n\n" : ""}`;
  if (tools.length > 0) {
    out += "\nYou have the following functions available:\n";
    out += tools.map((tool) => `\`\`\`json\n${indented(toolMembers(tool))}\n\`\`\`\n`).join("");
  }
  for (const [i, message] of messages.entries()) {
    const { role, content } = message;
    if (role === "user") out += `<｜User｜>${content}<｜Assistant｜>`;
    else if (role === "assistant") out += `${content}${calls(message)}<｜end▁of▁sentence｜>`;
    else if (role === "tool") {
      if (messages[i - 1]?.role !== "tool") out += "<｜tool▁outputs▁begin｜>";
      out += `<｜tool▁output▁begin｜>${content}<｜tool▁output▁end｜>`;
      out += messages[i + 1]?.role === "tool" ? "\n" : "<｜tool▁outputs▁end｜>";
    }
  }
  // A user's turn has opened the answer; messages of roles that are not shown do not change that.
  const last = messages.findLast(({ role }) => spokenRoles.includes(role));
  if (last?.role !== "user") out += "<｜Assistant｜>";
  return thinks ? `${out}<think>\n` : out;
};
