/**
 * From a conversation to the text that the model continues: which template renders it, what is
 * dropped when it is too long (api.md 5, 6, 7.5). Pure but for two questions to the engine: the Jinja
 * template's rendering and the number of tokens.
 */
import type { TemplateRequest } from "../engine/engine.ts";
import type { SpecialTexts } from "../engine/special-texts.ts";
import { ContextOverflowError, InvalidRequestError, StoreError } from "../errors.ts";
import type { TemplateChoice } from "../model/capabilities.ts";
import type { ChatMessage, Conversation } from "./messages.ts";
import { harmonyNames } from "./parsers/harmony.ts";
import { renderGoInTurns } from "./render-go.ts";
import { rendererNamed } from "./renderers/table.ts";
import { ImageMarkers } from "./renderers/turns.ts";
import { ThinkingSplitter } from "./thinking.ts";
import { nextTurn } from "./turns.ts";
import { markConversation } from "./user-text.ts";

/** The prompt side of a stored model. */
export interface PromptSource {
  readonly choice: TemplateChoice;
  /** Go template, when one is stored. */
  readonly goTemplate: string | undefined;
  /** Name of a built-in renderer. */
  readonly renderer: string | undefined;
  /** Tags of the model's thinking, when it has any. */
  readonly thinkTags: readonly string[];
  /** Added words of the vocabulary that its prompts give a meaning (marks.ts). */
  readonly words?: ReadonlySet<string>;
  /** The model speaks harmony: its tools have names and its thinking levels that format knows. */
  readonly harmony?: boolean;
  /** Old thinking is cut from the history (family qwen3, model deepseek-r1). */
  readonly stripsThinking: boolean;
  /** The model looks at one image at a time (family mllama). */
  readonly oneImage?: boolean;
}

/** What the engine does for prompts. */
export interface PromptEngine {
  /** Texts of the tokens that mean something to the model rather than being text. */
  readonly specials: SpecialTexts;
  applyTemplate(request: TemplateRequest): Promise<string>;
  /** Tokens of a prompt in pieces across which no special token reaches. */
  tokenize(pieces: readonly string[]): Promise<readonly number[]>;
}

export interface FittedPrompt {
  /** The prompt, cut where a special token would reach from a user's text into more. */
  readonly pieces: readonly string[];
  /** Tokens of it, where they had to be counted. */
  readonly tokens?: readonly number[];
  /** Messages dropped from the front. */
  readonly dropped: number;
  /** Tokens that these had in the prompt. */
  readonly droppedTokens: number;
  /** Images (base64) of the messages that were kept, in the order of their markers. */
  readonly images: readonly string[];
}

/** The conversation as the GGUF's Jinja template gets it (template.md 8). */
export function jinjaRequest(conversation: Conversation): TemplateRequest {
  const last = conversation.messages.at(-1);
  // The assistant's last words, without a call behind them: the model goes on with them. Where nothing is
  // written yet, as some clients send it, it is as if the message were not there.
  const words = last?.role === "assistant" && !last.toolCalls?.length ? last.content : undefined;
  const told = words === "" ? conversation.messages.slice(0, -1) : conversation.messages;
  const messages = told.map((message) => ({
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
    ending: words ? "continued" : "opened",
  };
}

/** Whether a model wants its old thinking cut from the history. `model`: the name without its tag. */
export function stripsThinking(family: string, model: string): boolean {
  return family === "qwen3" || model === "deepseek-r1";
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

/** A conversation in harmony's terms (output-parsing.md 5 K): tools by identifiers, no level above high. */
function harmonyTerms(conversation: Conversation): Conversation {
  const { messages, tools, think } = conversation;
  const names = harmonyNames(tools);
  const named = (name: string) => names.get(name) ?? name;
  return {
    ...conversation,
    messages: messages.map((message) => ({
      ...message,
      ...(message.toolName === undefined ? {} : { toolName: named(message.toolName) }),
      ...(message.toolCalls === undefined
        ? {}
        : {
            toolCalls: message.toolCalls.map((call) => ({
              ...call,
              function: { ...call.function, name: named(call.function.name) },
            })),
          }),
    })),
    tools: tools.map((tool) => ({
      ...tool,
      function: { ...tool.function, name: named(tool.function.name) },
    })),
    think: think?.level === "max" ? { ...think, level: "high" } : think,
  };
}

/** @throws TemplateError, EngineError (the template's own words), StoreError for a renderer that is none */
async function renderChat(
  source: PromptSource,
  conversation: Conversation,
  engine: Pick<PromptEngine, "applyTemplate">,
): Promise<string> {
  const messages = source.stripsThinking
    ? withoutOldThinking(conversation.messages)
    : conversation.messages;
  const plain = { ...conversation, messages };
  const wanted = source.harmony ? harmonyTerms(plain) : plain;
  if (source.choice === "renderer") {
    const render = rendererNamed(source.renderer ?? "");
    if (render === undefined) throw new StoreError(`unknown renderer "${source.renderer}"`);
    return render(wanted);
  }
  const marked = { ...wanted, messages: markImages(wanted.messages) };
  if (source.choice === "go" && source.goTemplate !== undefined) {
    return renderGoInTurns(source.goTemplate, marked);
  }
  return engine.applyTemplate(jinjaRequest(marked));
}

/** The messages that remain when the first `count` are dropped: system ones are put back in front. */
function withoutFirst(messages: readonly ChatMessage[], count: number): ChatMessage[] {
  const system = messages.slice(0, count).filter(({ role }) => role === "system");
  return [...system, ...messages.slice(count)];
}

/** Messages from which on a prompt is made in turns. */
const longHistory = 64;

export interface FitOptions {
  /** Most tokens that the prompt may have. */
  readonly limit: number;
  readonly truncate: boolean;
  /** Tokens that each image takes beside the text. */
  readonly imageTokens: number;
}

/**
 * Renders a conversation so that it fits: drops as few of the oldest messages as are needed for the
 * prompt to have at most `limit` tokens; system messages and the last message always stay. How many
 * are needed is looked for by halving: a message less never makes a prompt longer.
 */
export async function fitChat(
  source: PromptSource,
  conversation: Conversation,
  engine: PromptEngine,
  options: FitOptions,
): Promise<FittedPrompt> {
  if (source.oneImage && conversation.messages.some(({ images = [] }) => images.length > 1)) {
    throw new InvalidRequestError(
      "this model only supports one image while more than one image requested",
    );
  }
  const { value, pieces: cut } = markConversation(engine.specials, conversation, source);
  const { messages } = value;
  // Each of marking, rendering and counting takes its time for a long history: others come in between.
  if (messages.length > longHistory) await nextTurn();
  const attempt = async (count: number): Promise<Attempt> => {
    const kept = withoutFirst(messages, count);
    const pieces = cut(await renderChat(source, { ...value, messages: kept }, engine));
    const images = kept.flatMap((message) => message.images ?? []);
    const room = options.limit - images.length * options.imageTokens;
    const found = { pieces, images, dropped: messages.length - kept.length };
    // Counting costs a round trip: texts that cannot be too long need none.
    if (mostTokens(pieces) <= room) return { ...found, fits: true };
    const tokens = await engine.tokenize(pieces);
    return { ...found, tokens, fits: tokens.length <= room };
  };
  const whole = await attempt(0);
  if (whole.fits || !options.truncate || messages.length < 2) return { ...whole, droppedTokens: 0 };
  let best = await attempt(messages.length - 1);
  for (let low = 1, high = messages.length - 1; low < high; ) {
    const middle = (low + high) >> 1;
    const found = await attempt(middle);
    if (found.fits) {
      best = found;
      high = middle;
    } else low = middle + 1;
  }
  const left = best.tokens ?? (await engine.tokenize(best.pieces));
  const droppedTokens = Math.max(0, (whole.tokens?.length ?? 0) - left.length);
  const { pieces, images, dropped } = best;
  return { pieces, images, tokens: left, dropped, droppedTokens };
}

interface Attempt {
  readonly pieces: readonly string[];
  readonly images: readonly string[];
  readonly tokens?: readonly number[];
  readonly dropped: number;
  readonly fits: boolean;
}

/** A blank is three bytes to SentencePiece (`▁`), each of which may become a token. */
const blankBytes = 3;

/** As many tokens a text may have: one a byte, and BOS and a blank that the tokenizer puts in front. */
export function mostTokens(pieces: readonly string[]): number {
  const blanks = (piece: string) => {
    let count = 0;
    for (let at = piece.indexOf(" "); at >= 0; at = piece.indexOf(" ", at + 1)) count++;
    return count;
  };
  const most = (piece: string) => Buffer.byteLength(piece) + (blankBytes - 1) * blanks(piece);
  return pieces.reduce((sum, piece) => sum + most(piece), 1 + blankBytes);
}

/** Text for a prompt that must not be cut (api.md 7.5). */
const promptTooLong =
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
