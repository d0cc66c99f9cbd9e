/** FunctionGemma: Gemma's turns with strings between `<escape>` marks. */
import type { ChatMessage, Tool } from "../messages.ts";
import { type LooseStyle, looseMembers } from "./gemma.ts";
import { typesOf } from "./json.ts";
import type { Renderer } from "./turns.ts";

const style: LooseStyle = { text: (text) => `<escape>${text}<escape>`, nil: "<nil>" };

function declaration({ function: fn }: Tool): string {
  const { properties = {}, required, type } = fn.parameters ?? {};
  const described = Object.entries(properties).map(([key, property]) => [
    key,
    {
      description: property.description ?? "",
      type: typesOf(property)[0]?.toUpperCase(),
    },
  ]);
  const parameters = {
    properties: described.length > 0 ? Object.fromEntries(described) : undefined,
    required: required && required.length > 0 ? required : undefined,
    type: type?.toUpperCase(),
  };
  const text = looseMembers({ description: fn.description ?? "", parameters }, style);
  return `<start_function_declaration>declaration:${fn.name}${text}<end_function_declaration>`;
}

function calls(message: ChatMessage): string {
  return (message.toolCalls ?? [])
    .map(({ function: fn }) => {
      const values = looseMembers(fn.arguments, style);
      return `<start_function_call>call:${fn.name}${values}<end_function_call>`;
    })
    .join("");
}

/** The tool that a result is of: as it says, or the call at the same place. */
function toolOf(messages: readonly ChatMessage[], index: number): string {
  const named = messages[index]?.toolName;
  if (named) return named;
  let first = index;
  while (messages[first - 1]?.role === "tool") first--;
  return messages[first - 1]?.toolCalls?.[index - first]?.function.name ?? "";
}

export const functiongemma: Renderer = ({ messages, tools }) => {
  const first = messages[0]?.role === "system" ? messages[0] : undefined;
  const offered =
    tools.length > 0
      ? `You can do function calling with the following functions:${tools.map(declaration).join("")}`
      : "";
  const parts = [first?.content.trim() ?? "", offered].filter((part) => part !== "");
  let out = "<bos>";
  if (parts.length > 0) out += `<start_of_turn>developer\n${parts.join("\n")}<end_of_turn>\n`;
  for (const [i, message] of messages.entries()) {
    if (message === first) continue;
    const content = message.content.trim();
    if (message.role === "tool") {
      const name = toolOf(messages, i);
      out += `<start_function_response>response:${name}{${style.text(content)}}<end_function_response>`;
      continue;
    }
    const role = message.role === "assistant" ? "model" : message.role;
    // What follows a tool's answer goes on in the same turn.
    if (messages[i - 1]?.role !== "tool") out += `<start_of_turn>${role}\n`;
    out += `${content}${calls(message)}`;
    if (messages[i + 1]?.role !== "tool") out += "<end_of_turn>\n";
  }
  return messages.at(-1)?.role === "tool" ? out : `${out}<start_of_turn>model\n`;
};
