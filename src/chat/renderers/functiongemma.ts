/** FunctionGemma: Gemma's turns with strings between `<escape>` marks. */
import type { ChatMessage, Tool } from "../messages.ts";
import { type LooseStyle, looseMembers } from "./gemma.ts";
import { typesOf } from "./json.ts";
import type { Renderer } from "./turns.ts";

const style: LooseStyle = { text: (text) => `<escape>${text}<escape>`, nil: "<nil>" };

function declaration({ function: fn }: Tool): string {
  const { properties, required, type } = fn.parameters ?? {};
  const described = Object.entries(properties ?? {}).map(([key, property]) => [
    key,
    {
      description: property.description ?? "",
      type: typesOf(property)[0]?.toUpperCase(),
    },
  ]);
  const parameters = {
    properties: described.length > 0 ? Object.fromEntries(described) : undefined,
    required: required && required.length > 0 ? required : undefined,
    type: type?.toUpperCase() || undefined,
  };
  const text = looseMembers(
    {
      description: fn.description ?? "",
      parameters: properties || type ? parameters : undefined,
    },
    style,
  );
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

/** The tool that a result is of: the call at the same place. */
function toolOf(messages: readonly ChatMessage[], index: number): string {
  const asks = ({ toolCalls = [] }: ChatMessage) => toolCalls.length > 0;
  const caller = messages.slice(0, index).findLastIndex(asks);
  if (caller < 0) return "";
  const place = messages.slice(caller + 1, index).filter(({ role }) => role === "tool").length;
  return messages[caller]?.toolCalls?.[place]?.function.name ?? "";
}

const offer = "You can do function calling with the following functions:";

function head(given: string, tools: readonly Tool[]): string {
  if (given === "" && tools.length === 0) return "";
  const rules = given.trim();
  const offered = rules === offer || tools.length === 0 ? "" : offer;
  const gap = given !== "" && tools.length > 0 ? "\n" : "";
  const text = `${rules}${gap}${offered}${tools.map(declaration).join("")}`;
  return `<start_of_turn>developer\n${text}<end_of_turn>\n`;
}

/** What was written last decides how the next message begins. */
type Last = "call" | "response" | undefined;

export const functiongemma: Renderer = ({ messages: all, tools }) => {
  const led = all[0]?.role === "system" || all[0]?.role === "developer";
  const messages = led ? all.slice(1) : all;
  let out = `<bos>${head(led ? (all[0]?.content ?? "") : "", tools)}`;
  let last: Last;
  for (const [i, message] of messages.entries()) {
    const { role } = message;
    const content = message.content.trim();
    if (role === "tool") {
      if (last !== "call") out += "<start_function_response>";
      const name = toolOf(messages, i);
      out += `response:${name}{${style.text(message.content)}}<end_function_response>`;
      last = "response";
    } else if (role === "assistant" || role === "user") {
      // What follows a tool's answer goes on in the same turn.
      if (last !== "response") out += `<start_of_turn>${role === "user" ? role : "model"}\n`;
      const call = role === "assistant" ? calls(message) : "";
      last = call !== "" && messages[i + 1]?.role === "tool" ? "call" : undefined;
      out += `${content}${call}${last === "call" ? "<start_function_response>" : "<end_of_turn>\n"}`;
    } else out += `<start_of_turn>${role}\n${content}<end_of_turn>\n`;
  }
  return last === "response" ? out : `${out}<start_of_turn>model\n`;
};
