/** Truncation, numbering of images, removal of old thinking; and which renderer a name stands for. */
import type { Tool } from "../../../src/chat/messages.ts";
import { fitChat, stripsThinking, withoutOldThinking } from "../../../src/chat/prompt.ts";
import { parameterCount, resolveRenderer } from "../../../src/chat/renderers/choice.ts";
import { SpecialTexts } from "../../../src/engine/special-texts.ts";
import { parseName } from "../../../src/model/name.ts";
import type { KindRunner } from "./context.ts";
import { chatMessage } from "./renderers.ts";

type WireMessage = Parameters<typeof chatMessage>[0];

interface Vector {
  id: string;
  messages: WireMessage[];
  tools?: Tool[];
  template?: string;
  num_ctx?: number;
  truncate?: boolean;
  projector?: boolean;
  prompt?: string | { error: string };
  media_ids?: number[] | null;
  family?: string;
  families?: string[];
  name?: string;
  filter?: boolean;
  filtered_messages?: WireMessage[];
}

interface Choice {
  renderer: string;
  name: string;
  short_name: string;
  parameter_size: string;
  parameters?: number;
  resolved: string;
}

/** One word is one token. */
const engine = {
  specials: new SpecialTexts([]),
  applyTemplate: () => Promise.reject(new Error("no Jinja template here")),
  tokenize: async (pieces: readonly string[]) =>
    (pieces.join("").match(/\S+/g) ?? []).map((_, index) => index),
};

async function built(vector: Vector): Promise<unknown> {
  const source = {
    choice: "go" as const,
    goTemplate: vector.template,
    renderer: undefined,
    thinkTags: [],
    stripsThinking: false,
    oneImage: vector.families?.includes("mllama") ?? false,
  };
  const conversation = {
    messages: vector.messages.map(chatMessage),
    tools: vector.tools ?? [],
    think: undefined,
  };
  const limits = {
    limit: vector.num_ctx ?? 0,
    truncate: vector.truncate ?? true,
    imageTokens: vector.projector ? 768 : 0,
  };
  try {
    const { pieces, images } = await fitChat(source, conversation, engine, limits);
    return { prompt: pieces.join(""), media: images.map((_, index) => index) };
  } catch (error) {
    return { prompt: { error: error instanceof Error ? error.message : String(error) }, media: [] };
  }
}

export const promptBuild: KindRunner = async (data, { check }) => {
  for (const vector of data.vectors as Vector[]) {
    if (vector.filter) {
      const strips = stripsThinking(vector.family ?? "", parseName(vector.name ?? "").model);
      const messages = vector.messages.map(chatMessage);
      const actual = strips ? withoutOldThinking(messages) : messages;
      check(vector.id, actual, vector.filtered_messages?.map(chatMessage));
    } else {
      const expected = { prompt: vector.prompt, media: vector.media_ids ?? [] };
      check(vector.id, await built(vector), expected);
    }
  }
  for (const choice of data.renderer_choice as Choice[]) {
    const { renderer, name, short_name, parameter_size } = choice;
    const resolved = resolveRenderer(renderer, [short_name, name], parameter_size);
    const actual = { resolved, parameters: parameterCount(parameter_size) };
    const expected = { resolved: choice.resolved, parameters: choice.parameters };
    check(JSON.stringify(choice), actual, expected);
  }
};
