/**
 * The prompt of a request as the engine gets it: rendered, fitted into the context, tokenised at most
 * once (api.md 5, 6, 7.5). What had to be left out is counted, so that the answer can say so.
 */

import { withImages } from "../../chat/images.ts";
import type { Conversation, ThinkWish } from "../../chat/messages.ts";
import {
  cutMiddle,
  fitChat,
  markImages,
  mostTokens,
  type PromptEngine,
  type PromptSource,
  stripsThinking,
} from "../../chat/prompt.ts";
import { renderGoInTurns, renderSuffix } from "../../chat/render-go.ts";
import { resolveRenderer } from "../../chat/renderers/choice.ts";
import { ImageMarkers } from "../../chat/renderers/turns.ts";
import { type Marked, markConversation, markTexts } from "../../chat/user-text.ts";
import type { LoadedModel, PromptPart, TextPart } from "../../engine/engine.ts";
import type { SpecialTexts } from "../../engine/special-texts.ts";
import { ContextOverflowError } from "../../errors.ts";
import { chooseTemplate, parserOf } from "../../model/capabilities.ts";
import type { StoredModel } from "../../model/model.ts";
import type { Lease } from "../../scheduler/scheduler.ts";
import type { ServerDeps } from "../deps.ts";
import { decodeBase64 } from "../ollama/go-body.ts";
import { thinkTagsOfModel } from "./output.ts";
import { specialsOf } from "./specials.ts";

/** What of a prompt was left out. */
export interface Truncation {
  readonly messages: number;
  readonly tokens: number;
}

export interface BuiltPrompt {
  readonly parts: readonly PromptPart[];
  /** Whether BOS is put in front when it is not there. */
  readonly addSpecial: boolean;
  /** The whole text: its end says how the answer begins. */
  readonly text: string;
  readonly truncated: Truncation;
}

/** Whether something of it was left out. */
export const isCut = ({ truncated }: BuiltPrompt): boolean =>
  truncated.messages > 0 || truncated.tokens > 0;

/** What may be done to a prompt that is too long. */
export interface PromptLimits {
  readonly truncate: boolean;
  readonly shift: boolean;
  /** Tokens at the front that stay, negative = all. */
  readonly keep: number;
}

/** Tokens that an image takes, by Ollama's estimate (api.md 7.5). */
const imageTokens = 768;

export interface PromptContext {
  readonly deps: ServerDeps;
  readonly model: StoredModel;
  readonly lease: Lease;
  readonly limits: PromptLimits;
}

/** How a model's prompts are made, and which texts are special in them. */
interface ModelPrompts {
  readonly source: PromptSource;
  readonly specials: SpecialTexts;
}

function promptsOf({ deps, model, lease }: PromptContext): ModelPrompts {
  const { config, template } = model;
  const tags = thinkTagsOfModel(model, deps.config.goTemplate);
  const choice = chooseTemplate(model, deps.config.goTemplate);
  const renderer = resolveRenderer(
    config.renderer ?? "",
    [model.shortName, model.name.model],
    config.model_type ?? "",
  );
  const parser = parserOf(model);
  const thinkTags = tags === undefined ? [] : [tags.open, tags.close];
  const { texts, words } = specialsOf(lease.model, {
    choice,
    template: (choice === "jinja" ? model.gguf?.facts.chatTemplate : template) ?? "",
    renderer,
    parser: parser ?? "",
    tags: thinkTags,
  });
  const source = {
    choice,
    goTemplate: template,
    renderer,
    harmony: parser === "harmony",
    thinkTags,
    words,
    stripsThinking: stripsThinking(config.model_family, model.name.model),
    oneImage: config.model_families?.includes("mllama") ?? false,
  };
  return { source, specials: texts };
}

const textPart = (text: string): TextPart => ({ text, parseSpecial: true });

const tokenize = (model: LoadedModel, pieces: readonly string[]) =>
  model.tokenizePrompt(pieces.map(textPart), { addSpecial: true });

function engineOf(model: LoadedModel, specials: SpecialTexts): PromptEngine {
  return {
    specials,
    applyTemplate: (request) => model.applyTemplate(request),
    tokenize: (pieces) => tokenize(model, pieces),
  };
}

/** Two prompts one behind the other; their texts join. */
function joined(before: readonly string[], after: readonly string[]): string[] {
  return [...before.slice(0, -1), `${before.at(-1) ?? ""}${after[0] ?? ""}`, ...after.slice(1)];
}

/**
 * A prompt in pieces as the engine gets it: as text when it cannot be too long, else as tokens, their
 * middle cut when they still do not fit. With images nothing is cut: the engine counts their tokens,
 * and says when there are too many.
 * @throws ContextOverflowError
 */
async function finished(
  { lease, limits, model: stored }: PromptContext,
  pieces: readonly string[],
  counted: readonly number[] | undefined,
  dropped: Truncation,
  images: readonly string[],
): Promise<BuiltPrompt> {
  const { model, contextLength } = lease;
  const text = pieces.join("");
  const whole = { text, truncated: dropped };
  if (images.length > 0) {
    const parts = withImages(pieces, images.map(decodeBase64));
    return { ...whole, parts, addSpecial: true };
  }
  if (counted === undefined && mostTokens(pieces) < contextLength) {
    return { ...whole, parts: pieces.map(textPart), addSpecial: true };
  }
  const tokens = counted ?? (await tokenize(model, pieces));
  if (tokens.length <= contextLength - 1) {
    return { ...whole, parts: [{ tokens, texts: pieces }], addSpecial: false };
  }
  if (!limits.truncate) {
    throw new ContextOverflowError(
      "the input length exceeds the context length",
      tokens.length,
      contextLength,
    );
  }
  const keep = limits.keep < 0 ? tokens.length : limits.keep;
  const kept = cutMiddle(tokens, {
    contextLength,
    // As Ollama counts it; a tokenizer that adds BOS without a word in the file counts as another.
    keep: keep + (stored.gguf?.facts.saysBos ? 1 : 0),
    shift: limits.shift,
  });
  return {
    text,
    // What the answer's `context` is made of: the whole text, as if nothing had been cut.
    parts: [{ tokens: kept, texts: pieces }],
    addSpecial: false,
    truncated: {
      messages: dropped.messages,
      tokens: dropped.tokens + tokens.length - kept.length,
    },
  };
}

const nothingDropped: Truncation = { messages: 0, tokens: 0 };

/** The prompt of a conversation. @throws ContextOverflowError, TemplateError, EngineError */
export async function chatPrompt(
  context: PromptContext,
  conversation: Conversation,
  before: readonly string[] = [""],
): Promise<BuiltPrompt> {
  const { lease, limits, model } = context;
  const options = {
    limit: lease.contextLength,
    truncate: limits.truncate,
    imageTokens: model.projectorPaths.length > 0 ? imageTokens : 0,
  };
  const { source, specials } = promptsOf(context);
  const engine = engineOf(lease.model, specials);
  const fitted = await fitChat(source, conversation, engine, options);
  const dropped = { messages: fitted.dropped, tokens: fitted.droppedTokens };
  const fresh = before.length === 1 && before[0] === "";
  const pieces = fresh ? fitted.pieces : joined(before, fitted.pieces);
  const counted = fresh ? fitted.tokens : undefined;
  return finished(context, pieces, counted, dropped, fitted.images);
}

/** A text with a marker for each image: at `[img]` in turn, or in front (api.md 5). */
function marked(content: string, images: readonly string[]): string {
  return new ImageMarkers().mark({ role: "user", content, images });
}

/** A text that is the prompt as it is, its special tokens included. @throws ContextOverflowError */
export function rawPrompt(
  context: PromptContext,
  text: string,
  images: readonly string[],
): Promise<BuiltPrompt> {
  return finished(context, [marked(text, images)], undefined, nothingDropped, images);
}

/** What `generate` makes a prompt of. */
export interface GeneratePrompt {
  readonly prompt: string;
  readonly suffix: string;
  /** Go template of the request, empty for none. */
  readonly template: string;
  /** Tokens of what was said before. */
  readonly context: readonly number[];
  readonly conversation: Conversation;
}

/** The prompt of `POST /api/generate` without `raw` (api.md 5). @throws as `chatPrompt` */
export async function generatePrompt(
  context: PromptContext,
  wanted: GeneratePrompt,
): Promise<BuiltPrompt> {
  const { lease } = context;
  const { source, specials } = promptsOf(context);
  const { choice, goTemplate } = source;
  const before = await contextPieces(lease.model, specials, wanted.context);
  const { think } = wanted.conversation;
  const images = wanted.conversation.messages.flatMap((message) => message.images ?? []);
  const bare = marked(wanted.prompt, images);
  const rest = (pieces: readonly string[]) =>
    finished(context, joined(before, pieces), undefined, nothingDropped, images);
  if (wanted.suffix !== "") {
    const template = wanted.template || goTemplate || "";
    return rest(suffixPieces(specials, template, bare, wanted.suffix, think));
  }
  if (wanted.template !== "") {
    const { value, pieces } = markConversation(specials, wanted.conversation, source);
    const messages = markImages(value.messages);
    return rest(pieces(await renderGoInTurns(wanted.template, { ...value, messages })));
  }
  // Without any template the prompt is the text itself (`{{ .Prompt }}`).
  if (choice === "none") return rest([bare]);
  return chatPrompt(context, wanted.conversation, before);
}

function suffixPieces(
  specials: SpecialTexts,
  template: string,
  prompt: string,
  suffix: string,
  think: ThinkWish | undefined,
): string[] {
  const { value, pieces }: Marked<readonly string[]> = markTexts(specials, [prompt, suffix]);
  return pieces(renderSuffix(template, value[0] ?? "", value[1] ?? "", think));
}

/** Text of what was said before, in which only tokens that were special are special again. */
async function contextPieces(
  model: LoadedModel,
  specials: SpecialTexts,
  tokens: readonly number[],
): Promise<string[]> {
  if (tokens.length === 0) return [""];
  const whole = await model.detokenize(tokens);
  if (specials.find(whole) === undefined) return [whole];
  const texts = new Map(model.info.specialTokens.map(({ id, text }) => [id, text]));
  let pieces = [""];
  for (let from = 0; from < tokens.length; ) {
    const special = texts.get(tokens[from] ?? -1);
    if (special !== undefined) {
      pieces = joined(pieces, [special]);
      from++;
      continue;
    }
    let to = from;
    while (to < tokens.length && !texts.has(tokens[to] ?? -1)) to++;
    const { value, pieces: cut } = markTexts(specials, [
      await model.detokenize(tokens.slice(from, to)),
    ]);
    pieces = joined(pieces, cut(value[0] ?? ""));
    from = to;
  }
  return pieces;
}
