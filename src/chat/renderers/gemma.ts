/** Gemma 4: turns with strings marked by `<|"|>`; a tool's round is one turn of the model. */
import type { ChatMessage } from "../messages.ts";
import { declaration, quote } from "./gemma-tools.ts";
import { byBytes } from "./json.ts";
import { ImageMarkers, lastUser, looseNumber, type Renderer } from "./turns.ts";

/** How text and nothing are written. */
export interface LooseStyle {
  readonly text: (text: string) => string;
  readonly nil: string;
}

const marked: LooseStyle = { text: quote, nil: "null" };

/** A value as JSON with bare keys, sorted. */
function looseValue(value: unknown, style: LooseStyle): string {
  if (typeof value === "string") return style.text(value);
  if (Array.isArray(value)) return `[${value.map((item) => looseValue(item, style)).join(",")}]`;
  if (value === null || value === undefined) return style.nil;
  if (typeof value === "number") return looseNumber(value);
  if (typeof value !== "object") return String(value);
  return looseMembers(value as Record<string, unknown>, style);
}

export function looseMembers(values: Readonly<Record<string, unknown>>, style: LooseStyle): string {
  const keys = Object.keys(values)
    .filter((key) => values[key] !== undefined)
    .sort(byBytes);
  return `{${keys.map((key) => `${key}:${looseValue(values[key], style)}`).join(",")}}`;
}

function calls(message: ChatMessage): string {
  return (message.toolCalls ?? [])
    .map(
      ({ function: fn }) =>
        `<|tool_call>call:${fn.name}${looseMembers(fn.arguments, marked)}<tool_call|>`,
    )
    .join("");
}

function responses(
  { toolCalls = [] }: ChatMessage,
  answers: readonly ChatMessage[],
  images: ImageMarkers,
): string {
  return answers
    .map((answer) => {
      const asked = toolCalls.find(({ id }) => id && id === answer.toolCallId);
      const name = asked?.function.name ?? (answer.toolName || "unknown");
      const value = quote(images.spaced(answer));
      return `<|tool_response>response:${name}{value:${value}}<tool_response|>`;
    })
    .join("");
}

/** Without the channels of thoughts that a text spells out; what follows an open one is lost. */
function withoutChannels(text: string): string {
  return text.replace(/<\|channel>[\s\S]*?(?:<channel\|>|$)/g, "").trim();
}

function contentOf(message: ChatMessage, images: ImageMarkers): string {
  const { role, content } = message;
  const text = role === "assistant" ? withoutChannels(content) : content.trim();
  return images.spaced({ ...message, content: text });
}

/** A message together with the tools' answers behind it. */
interface Turn {
  readonly message: ChatMessage;
  readonly answers: readonly ChatMessage[];
  readonly afterLastQuestion: boolean;
}

/** Answers of tools that nobody asked for are left out. */
function turnsOf(messages: readonly ChatMessage[]): Turn[] {
  const query = lastUser(messages);
  return messages.flatMap((message, i) => {
    if (message.role === "tool") return [];
    const asks = (message.toolCalls ?? []).length > 0;
    const rest = messages.slice(i + 1);
    const end = rest.findIndex(({ role }) => role !== "tool");
    const answers = asks ? rest.slice(0, end < 0 ? rest.length : end) : [];
    return [{ message, answers, afterLastQuestion: i > query }];
  });
}

/** How the text behind the last turn goes on. */
type Ending = "asked" | "answered" | "said";

function endingOf({ message, answers }: Turn): Ending {
  if (answers.length > 0) return "answered";
  return (message.toolCalls ?? []).length > 0 ? "asked" : "said";
}

/** `before` and `next` are the turns around; neighbours of the model make one turn. */
function turnText(
  turn: Turn,
  before: Turn | undefined,
  next: Turn | undefined,
  images: ImageMarkers,
) {
  const { message, answers, afterLastQuestion } = turn;
  const ending = endingOf(turn);
  const isModel = message.role === "assistant";
  const joins = isModel && before?.message.role === "assistant";
  let out = joins ? "" : `<|turn>${isModel ? "model" : message.role}\n`;
  if (isModel && message.thinking && afterLastQuestion) {
    out += `<|channel>thought\n${message.thinking}\n<channel|>`;
  }
  out += calls(message) + responses(message, answers, images);
  const content = contentOf(message, images);
  out += content;
  if (ending === "asked") return `${out}<|tool_response>`;
  const goesOn = isModel && next?.message.role === "assistant";
  const waits = ending === "answered" && content.trim() === "" && next === undefined;
  return goesOn || waits ? out : `${out}<turn|>\n`;
}

/** `closesThinking`: an empty channel of thoughts stands for no thinking, as large models want it. */
export function gemma4(closesThinking: boolean): Renderer {
  return ({ messages, tools, think }) => {
    const thinks = think?.on === true;
    const images = new ImageMarkers();
    const led = messages[0]?.role === "system" || messages[0]?.role === "developer";
    let out = "<bos>";
    if (led || tools.length > 0 || thinks) {
      const rules = led ? (messages[0]?.content.trim() ?? "") : "";
      const text = `${thinks ? "<|think|>\n" : ""}${rules}`;
      out += `<|turn>system\n${text}${tools.map(declaration).join("")}<turn|>\n`;
    }
    const turns = turnsOf(led ? messages.slice(1) : messages);
    for (const [i, turn] of turns.entries()) {
      out += turnText(turn, turns[i - 1], turns[i + 1], images);
    }
    const last = turns.at(-1);
    const ending = last === undefined ? "said" : endingOf(last);
    if (ending === "asked") return out;
    if (ending === "answered") return thinks ? `${out}<|channel>thought\n` : out;
    return `${out}<|turn>model\n${closesThinking && !thinks ? "<|channel>thought\n<channel|>" : ""}`;
  };
}
