/** Command A: turns of tokens, tools and their results as JSON (white space as in its own template). */
import type { ChatMessage, Tool } from "../messages.ts";
import { jsonText, orderedArguments, parametersMembers } from "./json.ts";
import type { Renderer } from "./turns.ts";

const start = "<|START_OF_TURN_TOKEN|>";
const end = "<|END_OF_TURN_TOKEN|>";

function turn(token: string, text: string): string {
  return `${start}<|${token}_TOKEN|><|START_TEXT|>${text}<|END_TEXT|>${end}`;
}

function toolsText(tools: readonly Tool[]): string {
  const list = tools.map((tool, i) => {
    const { name, description = "" } = tool.function;
    const members = { name, description, parameters: parametersMembers(tool), responses: null };
    return `\n    ${jsonText(members, { spaced: true })}${i < tools.length - 1 ? "," : ""}\n\n`;
  });
  return `# Available Tools\n\`\`\`json\n[\n${list.length > 0 ? list.join("") : "\n\n"}\n]\n\`\`\``;
}

function asks({ toolCalls = [] }: ChatMessage): boolean {
  return toolCalls.length > 0;
}

function thinkingText(message: ChatMessage): string {
  return message.thinking ? `<|START_THINKING|>${message.thinking}<|END_THINKING|>` : "";
}

/** Numbers of calls through the conversation, by the ids that results refer to. */
class CallNumbers {
  readonly #byId = new Map<string, string>();
  #next = 0;

  text(message: ChatMessage): string {
    const list = (message.toolCalls ?? []).map(({ id, function: fn }) => {
      const number = String(this.#next++);
      if (id && !this.#byId.has(id)) this.#byId.set(id, number);
      const values = jsonText(orderedArguments(fn.arguments), { spaced: true });
      return `{"tool_call_id": "${number}", "tool_name": "${fn.name}", "parameters": ${values}}`;
    });
    return `<|START_ACTION|>[\n${list.map((call) => `\n    ${call}`).join(",\n")}\n\n]<|END_ACTION|>`;
  }

  of(id: string | undefined): string {
    return this.#byId.get(id ?? "") ?? id ?? "";
  }
}

function result(message: ChatMessage, number: string): string {
  return `
    {
        "tool_call_id": "${number}",
        "results": {

            
            "0": {"content": ${jsonText(message.content)}}

        },
        "is_error": null
    }`;
}

export const cohere: Renderer = ({ messages, tools, think }) => {
  const first = messages[0]?.role === "system" ? messages[0] : undefined;
  const given = first?.content ? `${first.content}\n\n\n\n` : "";
  const numbers = new CallNumbers();
  let out = turn("SYSTEM", `${given}${toolsText(tools)}`);
  for (const [i, message] of messages.entries()) {
    if (message === first) continue;
    const { role, content } = message;
    if (role === "assistant" || role === "chatbot") {
      out += `${start}<|CHATBOT_TOKEN|>`;
      if (asks(message)) {
        out += `\n            \n                ${thinkingText(message)}${numbers.text(message)}${end}`;
      } else {
        out += `${thinkingText(message)}<|START_TEXT|>${content}`;
        if (i < messages.length - 1) out += `<|END_TEXT|>${end}`;
      }
    } else if (role === "tool") {
      const opens = messages[i - 1]?.role !== "tool";
      out += opens ? `${start}<|SYSTEM_TOKEN|><|START_TOOL_RESULT|>[` : ",";
      out += result(message, numbers.of(message.toolCallId));
      if (messages[i + 1]?.role !== "tool") out += `\n\n]<|END_TOOL_RESULT|>${end}`;
    } else if (role === "user" || role === "system") out += turn(role.toUpperCase(), content);
  }
  const last = messages.at(-1);
  if ((last?.role === "assistant" || last?.role === "chatbot") && !asks(last)) return out;
  const closed = think?.on === false ? "<|END_THINKING|>" : "";
  return `${out}${start}<|CHATBOT_TOKEN|><|START_THINKING|>${closed}`;
};
