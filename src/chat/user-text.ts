/**
 * Keeps what users write from becoming special tokens: a user who writes `<|im_end|>` ends no turn. A
 * mark, a character that stands nowhere else, is put behind the first character of each such text
 * before the prompt is rendered, whatever renders it; afterwards the prompt is cut at the marks, and
 * the engine sees no special token across a cut. Texts without special ones are left as they are, so
 * templates that look at them (their length, their beginning) see no difference.
 */
import type { SpecialTexts } from "../engine/special-texts.ts";
import type { ChatMessage, Conversation, Tool } from "./messages.ts";

/** Tags that templates look for in an assistant's earlier answers. */
const thinkingTags = ["<think>", "</think>"];

type Change = (text: string) => string;

/** The same value with its texts changed, names of members included. */
function changed(value: unknown, change: Change): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item) => changed(item, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [change(name), changed(item, change)]),
  );
}

/** All texts in a value, names of members included. */
function collect(value: unknown, texts: string[]): void {
  if (typeof value === "string") texts.push(value);
  else if (Array.isArray(value)) for (const item of value) collect(item, texts);
  else if (typeof value === "object" && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      texts.push(name);
      collect(item, texts);
    }
  }
}

function changedMessage(message: ChatMessage, change: Change, own: Change): ChatMessage {
  const { images, ...texts } = message;
  const marked = changed(texts, change) as ChatMessage;
  return {
    ...marked,
    content: own(message.content),
    ...(message.thinking === undefined ? {} : { thinking: own(message.thinking) }),
    ...(images === undefined ? {} : { images }),
  };
}

/** A text that does not occur in any of `texts`, made of characters that Unicode leaves unused. */
function unusedMark(texts: readonly string[]): string {
  for (let mark = "\ufdd0"; ; mark += "\ufdd1") {
    if (!texts.some((text) => text.includes(mark))) return mark;
  }
}

/** Texts with marks in them, and how a prompt made of them is cut. */
export interface Marked<T> {
  readonly value: T;
  /** A rendered prompt without marks, in pieces across which no special token reaches. */
  pieces(rendered: string): string[];
}

function marked<T>(
  specials: SpecialTexts,
  texts: readonly string[],
  value: T,
  make: (mark: string) => T,
): Marked<T> {
  if (texts.every((text) => specials.find(text) === undefined)) {
    return { value, pieces: (rendered) => [rendered] };
  }
  const mark = unusedMark(texts);
  return { value: make(mark), pieces: (rendered) => rendered.split(mark) };
}

/** Puts the mark into each special text but the spared ones. */
function put(
  specials: SpecialTexts,
  text: string,
  mark: string,
  spared: ReadonlySet<string>,
): string {
  let out = "";
  let from = 0;
  for (let found = specials.find(text); found; ) {
    const { at, length } = found;
    if (spared.has(text.slice(at, at + length))) {
      found = specials.find(text, at + length);
      continue;
    }
    out += text.slice(from, at + 1) + mark;
    from = at + 1;
    // What is left of it may hold a shorter one.
    found = specials.find(text, from);
  }
  return out + text.slice(from);
}

const none: ReadonlySet<string> = new Set();

/** Single texts. */
export function markTexts(
  specials: SpecialTexts,
  texts: readonly string[],
): Marked<readonly string[]> {
  return marked(specials, texts, texts, (mark) =>
    texts.map((text) => put(specials, text, mark, none)),
  );
}

/** Special texts that stay what they are in what the model or its operator wrote. */
export interface OwnTexts {
  /** Tags of the model's thinking, for an assistant's messages. */
  readonly thinkTags?: readonly string[];
  /** Added words with a meaning (marks.ts), for an assistant's and system messages: there they explain formats. */
  readonly words?: ReadonlySet<string>;
}

export function markConversation(
  specials: SpecialTexts,
  whole: Conversation,
  { thinkTags = [], words = none }: OwnTexts = {},
): Marked<Conversation> {
  const texts: string[] = [];
  for (const { images: _, ...message } of whole.messages) collect(message, texts);
  collect(whole.tools, texts);
  const spared: Readonly<Record<string, ReadonlySet<string>>> = {
    assistant: new Set([...thinkingTags, ...thinkTags, ...words]),
    system: words,
  };
  return marked(specials, texts, whole, (mark) => {
    const change = (sparing: ReadonlySet<string>) => (text: string) =>
      put(specials, text, mark, sparing);
    return {
      ...whole,
      messages: whole.messages.map((message) =>
        changedMessage(message, change(none), change(spared[message.role] ?? none)),
      ),
      tools: whole.tools.map((tool) => changed(tool, change(none)) as Tool),
    };
  });
}
