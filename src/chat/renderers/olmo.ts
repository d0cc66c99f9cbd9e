/** OLMo 3: ChatML with calls on lines, tools' answers from the `environment`. */
import type { ChatMessage } from "../messages.ts";
import { byBytes, jsonText, sorted, toolMembers } from "./json.ts";
import type { Renderer } from "./turns.ts";

const introductions = {
  olmo3: "You are a helpful function-calling AI assistant.",
  "olmo3.1":
    "You are Olmo, a helpful AI assistant built by Ai2. Your date cutoff is December 2024, and your model weights are available at https://huggingface.co/allenai.",
} as const;

const withTools =
  "You are provided with function signatures within <functions></functions> XML tags. You may call one or more functions to assist with the user query. Output any function calls within <function_calls></function_calls> XML tags. Do not make assumptions about what values to plug into functions.";

const withoutTools = "You do not currently have access to any functions. <functions></functions>";

function calls(message: ChatMessage): string {
  const lines = (message.toolCalls ?? []).map(({ function: fn }) => {
    const values = Object.keys(fn.arguments)
      .sort(byBytes)
      .map((key) => `${key}=${jsonText(sorted(fn.arguments[key]))}`);
    return `${fn.name}(${values.join(", ")})`;
  });
  return lines.length > 0 ? `<function_calls>${lines.join("\n")}</function_calls>` : "";
}

/** Names of the turns; messages of other roles are left out. */
const turnOf: Readonly<Record<string, string>> = {
  user: "user",
  assistant: "assistant",
  tool: "environment",
};

/** An assistant's text at the very end is left open. */
function isOpen(messages: readonly ChatMessage[], index: number): boolean {
  const { role, toolCalls = [] } = messages[index] ?? { role: "" };
  return index === messages.length - 1 && role === "assistant" && toolCalls.length === 0;
}

function turns(messages: readonly ChatMessage[]): string {
  return messages
    .map((message, i) => {
      const name = turnOf[message.role];
      if (name === undefined) return "";
      const call = name === "assistant" ? calls(message) : "";
      const end = isOpen(messages, i) ? "" : "<|im_end|>\n";
      return `<|im_start|>${name}\n${message.content}${call}${end}`;
    })
    .join("");
}

export function olmo3(introduction: keyof typeof introductions): Renderer {
  return ({ messages: all, tools }) => {
    const given = all.find(({ role }) => role === "system")?.content;
    const messages = all.filter(({ role }) => role !== "system");
    const offered = tools.length > 0;
    let system = given ?? `${introductions[introduction]} ${offered ? withTools : withoutTools}`;
    if (offered) {
      const list = tools.map((tool) => jsonText(toolMembers(tool), { spaced: true }));
      system += `<functions>[${list.join(", ")}]</functions>`;
    }
    const goesOn = isOpen(messages, messages.length - 1) && messages.at(-1)?.content !== "";
    const open = goesOn ? "" : "<|im_start|>assistant\n";
    return `<|im_start|>system\n${system}<|im_end|>\n${turns(messages)}${open}`;
  };
}

/** The thinking kinds know neither calls nor what tools answered. */
export function olmo3Think(introduction: string): Renderer {
  return ({ messages: all }) => {
    const given = all.find(({ role }) => role === "system")?.content;
    const system = given === undefined ? introduction : `${given} ${withoutTools}`;
    const turnsText = all
      .filter(({ role }) => role === "user" || role === "assistant")
      .map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`);
    return `<|im_start|>system\n${system}<|im_end|>\n${turnsText.join("")}<|im_start|>assistant\n<think>`;
  };
}

export const introductionOf32b = "You are a helpful AI assistant.";
export const introductionOfOlmo = introductions["olmo3.1"];
