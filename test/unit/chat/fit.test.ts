/** How many messages fit into a context (api.md 7.5), with tokenizers that make much of little. */
import { describe, expect, test } from "bun:test";
import type { ChatMessage } from "../../../src/chat/messages.ts";
import { fitChat, mostTokens, type PromptSource } from "../../../src/chat/prompt.ts";
import { SpecialTexts } from "../../../src/engine/special-texts.ts";

/** SentencePiece without a word for the blank: each becomes its three bytes. */
const tokenize = async (pieces: readonly string[]) => [
  1,
  ...[...Buffer.from(pieces.join("").replaceAll(" ", "▁"))].map((byte) => byte + 3),
];

const source: PromptSource = {
  choice: "go",
  goTemplate: "{{ range .Messages }}{{ .Content }}{{ end }}",
  renderer: undefined,
  harmony: false,
  thinkTags: [],
  words: new Set(),
  stripsThinking: false,
  oneImage: false,
};

async function fitted(messages: ChatMessage[], limit: number) {
  const engine = {
    specials: new SpecialTexts([]),
    applyTemplate: () => Promise.reject(new Error("no Jinja template here")),
    tokenize,
  };
  const conversation = { messages, tools: [], think: undefined };
  const options = { limit, truncate: true, imageTokens: 0 };
  const { pieces, dropped } = await fitChat(source, conversation, engine, options);
  return { text: pieces.join(""), dropped };
}

describe("messages that fit", () => {
  const user = (content: string): ChatMessage => ({ role: "user", content });

  test("are counted in tokens, also where a blank has several", async () => {
    const messages: ChatMessage[] = [{ role: "assistant", content: " ".repeat(20) }, user("y")];
    expect(await fitted(messages, 62)).toEqual({ text: `${" ".repeat(20)}y`, dropped: 0 });
    expect(await fitted(messages, 61)).toEqual({ text: "y", dropped: 1 });
  });

  test("never have more tokens than they are said to have at most", async () => {
    for (const text of ["", " ", "a b", "   ", "é  ñ", "日本 語"]) {
      expect((await tokenize([text])).length).toBeLessThanOrEqual(mostTokens([text]));
    }
  });
});
