/**
 * Words that were added to a vocabulary (`<tool_call>`, `<think>`, `<table>`) are tokens wherever they
 * stand. Some of them mean something to a model: those that its template writes or its parser reads.
 * What a user writes must not become one of these.
 */
import type { Conversation } from "./messages.ts";
import type { Renderer } from "./renderers/turns.ts";

/** A conversation that makes a renderer write all that it has. */
const everything: Conversation = {
  messages: [
    { role: "system", content: "s" },
    { role: "user", content: "u" },
    {
      role: "assistant",
      content: "a",
      thinking: "t",
      toolCalls: [{ id: "i", function: { name: "f", arguments: { p: "v" } } }],
    },
    { role: "tool", content: "r", toolName: "f", toolCallId: "i" },
    { role: "assistant", content: "a", thinking: "t" },
    { role: "user", content: "u" },
  ],
  tools: [
    {
      type: "function",
      function: {
        name: "f",
        description: "d",
        parameters: {
          type: "object",
          properties: { p: { type: "string", description: "d" } },
          required: ["p"],
        },
      },
    },
  ],
  think: { on: true, level: "medium" },
};

/** What a renderer writes besides the texts of a conversation, thinking and not. */
export function writtenBy(render: Renderer): string {
  const off = { ...everything, think: { on: false, level: "" } };
  return `${render(everything)}\n${render(off)}`;
}

/** The words that stand in one of the texts: templates, what renderers write, tags that are read. */
export function wordsWithMeaning(
  words: Iterable<string>,
  texts: readonly string[],
): ReadonlySet<string> {
  return new Set([...words].filter((word) => texts.some((text) => text.includes(word))));
}
