/** OLMo 3: ChatML with calls on lines, tools' answers from the `environment`. */
import type { ChatMessage } from "../messages.ts";
import { jsonText, sorted, toolMembers } from "./json.ts";
import { opensAnswer, type Renderer } from "./turns.ts";

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
      .sort()
      .map((key) => `${key}=${jsonText(sorted(fn.arguments[key]))}`);
    return `${fn.name}(${values.join(", ")})`;
  });
  return lines.length > 0 ? `<function_calls>${lines.join("\n")}</function_calls>` : "";
}

function turns(messages: readonly ChatMessage[]): string {
  return messages
    .map((message, i) => {
      const role = message.role === "tool" ? "environment" : message.role;
      const end = opensAnswer(messages, i) ? "" : "<|im_end|>\n";
      return `<|im_start|>${role}\n${message.content}${calls(message)}${end}`;
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
    const goesOn = opensAnswer(messages, messages.length - 1) && messages.at(-1)?.content !== "";
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
