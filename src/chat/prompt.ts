/**
 * From a conversation to the text that the model continues: which template renders it, what is
 * dropped when it is too long (api.md 5, 6, 7.5). Pure but for two questions to the engine: the Jinja
 * template's rendering and the number of tokens.
 */
import type { TemplateRequest } from "../engine/engine.ts";
import { ContextOverflowError, UnsupportedError } from "../errors.ts";
import type { TemplateChoice } from "../model/capabilities.ts";
import type { ChatMessage, Conversation } from "./messages.ts";
import { renderGo } from "./render-go.ts";
import { rendererNamed } from "./renderers/table.ts";
import { ImageMarkers } from "./renderers/turns.ts";
import { ThinkingSplitter } from "./thinking.ts";

/** The prompt side of a stored model. */
export interface PromptSource {
  readonly choice: TemplateChoice;
  /** Go template, when one is stored. */
  readonly goTemplate: string | undefined;
  /** Name of a built-in renderer. */
  readonly renderer: string | undefined;
  /** Old thinking is cut from the history (family qwen3, model deepseek-r1). */
  readonly stripsThinking: boolean;
}

/** What the engine does for prompts. */
export interface PromptEngine {
  applyTemplate(request: TemplateRequest): Promise<string>;
  countTokens(text: string): Promise<number>;
}

export interface FittedPrompt {
  readonly text: string;
  /** Messages dropped from the front. */
  readonly dropped: number;
}

/** The conversation as the GGUF's Jinja template gets it (template.md 8). */
export function jinjaRequest(conversation: Conversation): TemplateRequest {
  const messages = conversation.messages.map((message) => ({
    role: message.role,
    content: message.content,
    ...(message.toolCalls?.length
      ? {
          tool_calls: message.toolCalls.map((call, i) => ({
            id: call.id ?? `call_${i}`,
            type: "function",
            function: {
              name: call.function.name,
              arguments: JSON.stringify(call.function.arguments),
            },
          })),
        }
      : {}),
    ...(message.toolCallId ? { tool_call_id: message.toolCallId } : {}),
    ...(message.toolName ? { name: message.toolName } : {}),
  }));
  const { think, tools } = conversation;
  const levels = ["low", "medium", "high"];
  return {
    messagesJson: JSON.stringify(messages),
    ...(tools.length > 0 ? { toolsJson: JSON.stringify(tools) } : {}),
    kwargs: {
      ...(think === undefined ? {} : { enable_thinking: String(think.on) }),
      ...(think?.on && levels.includes(think.level)
        ? { reasoning_effort: JSON.stringify(think.level) }
        : {}),
    },
    addGenerationPrompt: true,
  };
}

/** Cuts leading `<think>…</think>` from assistant messages before the last user message. */
export function withoutOldThinking(messages: readonly ChatMessage[]): ChatMessage[] {
  const last = messages.findLastIndex(({ role }) => role === "user");
  return messages.map((message, i) =>
    message.role === "assistant" && i < last
      ? { ...message, content: withoutLeadingThinking(message.content) }
      : message,
  );
}

function withoutLeadingThinking(content: string): string {
  const splitter = new ThinkingSplitter({ open: "<think>", close: "</think>" }, false);
  return splitter.add(content, true).content;
}

/** The messages with markers where their images belong (template.md 7). */
export function markImages(messages: readonly ChatMessage[]): ChatMessage[] {
  const images = new ImageMarkers();
  return messages.map((message) => ({ ...message, content: images.mark(message) }));
}

/** @throws TemplateError, EngineError (the template's own words), UnsupportedError */
export async function renderChat(
  source: PromptSource,
  conversation: Conversation,
  engine: Pick<PromptEngine, "applyTemplate">,
): Promise<string> {
  const messages = source.stripsThinking
    ? withoutOldThinking(conversation.messages)
    : conversation.messages;
  const wanted = { ...conversation, messages };
  if (source.choice === "renderer") {
    const render = rendererNamed(source.renderer ?? "");
    if (render === undefined) throw new UnsupportedError(`unknown renderer "${source.renderer}"`);
    return render(wanted);
  }
  const marked = { ...wanted, messages: markImages(messages) };
  if (source.choice === "go" && source.goTemplate !== undefined) {
    return renderGo(source.goTemplate, marked);
  }
  return engine.applyTemplate(jinjaRequest(marked));
}

/** The messages that remain when the first `count` are dropped: system ones are put back in front. */
function withoutFirst(messages: readonly ChatMessage[], count: number): ChatMessage[] {
  const system = messages.slice(0, count).filter(({ role }) => role === "system");
  return [...system, ...messages.slice(count)];
}

/**
 * Renders a conversation so that it fits: drops the oldest messages, one at a time, while it has more
 * tokens than `limit`; system messages and the last message always stay.
 */
export async function fitChat(
  source: PromptSource,
  conversation: Conversation,
  engine: PromptEngine,
  options: { limit: number; truncate: boolean },
): Promise<FittedPrompt> {
  const { messages } = conversation;
  for (let dropped = 0; ; dropped++) {
    const kept = withoutFirst(messages, dropped);
    const text = await renderChat(source, { ...conversation, messages: kept }, engine);
    if (!options.truncate || dropped >= messages.length - 1) return { text, dropped };
    // Counting costs a round trip: texts that cannot be too long need none.
    if (new TextEncoder().encode(text).length <= options.limit) return { text, dropped };
    if ((await engine.countTokens(text)) <= options.limit) return { text, dropped };
  }
}

/** Text for a prompt that must not be cut (api.md 7.5). */
export const promptTooLong =
  "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the context length in settings, or use a model with a longer context length";

/**
 * Cuts the middle out of tokens that still do not fit: the first `keep` stay, and as much of the end
 * as leaves room to answer (api.md 7.5).
 * @throws ContextOverflowError when shifting is off
 */
export function cutMiddle(
  tokens: readonly number[],
  options: { contextLength: number; keep: number; shift: boolean },
): readonly number[] {
  const { contextLength, shift } = options;
  if (tokens.length <= contextLength - 1) return tokens;
  if (!shift) throw new ContextOverflowError(promptTooLong, tokens.length, contextLength);
  const keep = Math.max(0, Math.min(options.keep, contextLength - 4));
  const room = contextLength - Math.max(Math.trunc((contextLength - keep) / 2), 1);
  return [...tokens.slice(0, keep), ...tokens.slice(tokens.length - (room - keep))];
}
