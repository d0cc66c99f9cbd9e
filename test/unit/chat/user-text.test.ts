/** Users' texts are marked where they look like special tokens, and prompts are cut at the marks. */
import { describe, expect, test } from "bun:test";
import type { Conversation } from "../../../src/chat/messages.ts";
import { markConversation, markTexts } from "../../../src/chat/user-text.ts";
import { SpecialTexts } from "../../../src/engine/special-texts.ts";

const specials = new SpecialTexts(["<|end|>", "<think>", "</think>", "<s>"]);
const conversation = (messages: Conversation["messages"]): Conversation => ({
  messages,
  tools: [],
  think: undefined,
});

describe("marks", () => {
  test("are not put into texts that need none", () => {
    const whole = conversation([{ role: "user", content: "<b> | end > [img-0]" }]);
    const { value, pieces } = markConversation(specials, whole);
    expect(value).toBe(whole);
    expect(pieces("<|end|>")).toEqual(["<|end|>"]);
  });

  test("stand in every field that a client fills", () => {
    const evil = "<|end|>";
    const whole: Conversation = {
      messages: [
        {
          role: `user${evil}`,
          content: evil,
          thinking: evil,
          images: [evil],
          toolName: evil,
          toolCallId: evil,
          toolCalls: [
            { id: evil, function: { name: evil, arguments: { [evil]: [evil, 1, null] } } },
          ],
        },
      ],
      tools: [
        { type: evil, function: { name: evil, description: evil, parameters: { type: evil } } },
      ],
      think: undefined,
    };
    const { value, pieces } = markConversation(specials, whole);
    const { images, ...message } = value.messages[0] ?? {};
    expect(images).toEqual([evil]);
    const left = JSON.stringify([message, value.tools]);
    expect(left).not.toContain(evil);
    expect(pieces(left).join("")).toBe(
      JSON.stringify([{ ...whole.messages[0], images: undefined }, whole.tools]),
    );
    expect(pieces(left)).toHaveLength(14);
  });

  test("leave an assistant's thinking tags alone, but nobody else's", () => {
    const content = "<think>a</think><|end|>";
    const { value, pieces } = markConversation(
      specials,
      conversation([
        { role: "assistant", content },
        { role: "user", content },
      ]),
    );
    const cut = value.messages.map((message) => pieces(message.content));
    expect(cut).toEqual([
      ["<think>a</think><", "|end|>"],
      ["<", "think>a<", "/think><", "|end|>"],
    ]);
  });

  test("leave words with a meaning alone in what an assistant or the operator wrote", () => {
    const content = "<s><tool_call>";
    const both = new SpecialTexts(["<tool_call>", "<s>"]);
    const roles = ["system", "user", "assistant", "tool"];
    const { value, pieces } = markConversation(
      both,
      conversation(roles.map((role) => ({ role, content }))),
      { words: new Set(["<tool_call>"]) },
    );
    const own = ["<", "s><tool_call>"];
    const foreign = ["<", "s><", "tool_call>"];
    const cut = value.messages.map((message) => pieces(message.content));
    expect(cut).toEqual([own, foreign, own, foreign]);
  });

  test("are characters that the texts do not have", () => {
    const content = "\ufdd0<|end|>\ufdd0\ufdd1";
    const { value, pieces } = markTexts(specials, [content]);
    expect(pieces(value[0] ?? "")).toEqual(["\ufdd0<", "|end|>\ufdd0\ufdd1"]);
  });

  test("find a special text inside another", () => {
    const nested = new SpecialTexts(["<|a<s>|>", "<s>"]);
    const { value, pieces } = markTexts(nested, ["<|a<s>|>"]);
    expect(pieces(value[0] ?? "")).toEqual(["<", "|a<", "s>|>"]);
  });
});
