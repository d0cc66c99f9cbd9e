/** Built-in renderers: the prompt of each shared conversation. */
import type { ChatMessage, ThinkWish, Tool, ToolCall } from "../../../src/chat/messages.ts";
import { rendererNamed } from "../../../src/chat/renderers/table.ts";
import { type KindRunner, sharedPath } from "./context.ts";

interface WireMessage {
  role: string;
  content: string;
  thinking?: string;
  images?: string[];
  tool_calls?: ToolCall[];
  tool_name?: string;
  tool_call_id?: string;
}

interface WireConversation {
  id: string;
  messages: WireMessage[];
  tools?: Tool[];
  think?: boolean | string;
}

interface Vector {
  id: string;
  prompt?: string;
  error?: string;
  unstable?: boolean;
}

export function thinkWish(think: boolean | string | undefined): ThinkWish | undefined {
  if (think === undefined) return undefined;
  const named = typeof think === "string";
  return { on: think !== false, level: named ? think : think ? "medium" : "", named };
}

export function chatMessage(wire: WireMessage): ChatMessage {
  const { tool_calls: toolCalls, tool_name: toolName, tool_call_id: toolCallId, ...rest } = wire;
  return {
    ...rest,
    ...(toolCalls === undefined ? {} : { toolCalls }),
    ...(toolName === undefined ? {} : { toolName }),
    ...(toolCallId === undefined ? {} : { toolCallId }),
  };
}

/** Where the reference's own output varies, the lines count, not their order. */
function loosely(text: string | undefined): string | undefined {
  return text?.split("\n").sort().join("\n");
}

/** The two texts from a little before their first difference on. */
export function whereTheyPart(actual: unknown, wanted: unknown): string {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(wanted)];
  if (a === b) return "";
  let at = 0;
  while (a[at] === b[at]) at++;
  const from = Math.max(0, at - 60);
  return `\n    wanted ..${b.slice(from, at + 100)}\n    got    ..${a.slice(from, at + 100)}`;
}

export const renderers: KindRunner = async (data, { dir, check, skip }) => {
  const render = rendererNamed(String(data.renderer));
  const shared = await Bun.file(sharedPath(dir, `golden/vectors/${data.conversations}`)).json();
  const conversations = new Map<string, WireConversation>(
    (shared.conversations as WireConversation[]).map((one) => [one.id, one]),
  );
  for (const vector of data.vectors as Vector[]) {
    const conversation = conversations.get(vector.id);
    if (render === undefined || conversation === undefined) {
      skip();
      continue;
    }
    let actual: { prompt: string | undefined } | { error: string };
    try {
      const { messages, tools = [], think } = conversation;
      const prompt = render({
        messages: messages.map(chatMessage),
        tools,
        think: thinkWish(think),
      });
      const shown = prompt.replaceAll(new Date().toLocaleDateString("sv-SE"), "<TODAY>");
      actual = { prompt: vector.unstable ? loosely(shown) : shown };
    } catch (error) {
      actual = { error: error instanceof Error ? error.message : String(error) };
    }
    const wanted =
      vector.prompt === undefined
        ? { error: vector.error }
        : { prompt: vector.unstable ? loosely(vector.prompt) : vector.prompt };
    check(`${vector.id}${whereTheyPart(actual, wanted)}`, actual, wanted);
  }
};
