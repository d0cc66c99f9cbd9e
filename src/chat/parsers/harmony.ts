/**
 * Harmony (gpt-oss, output-parsing.md 5 K): messages of `<|start|>header<|message|>body<|end|>`, whose
 * header names a channel and, for calls, a recipient. A call is built when the output ends.
 */
import type { Tool } from "../messages.ts";
import {
  isObject,
  isPrefill,
  type Output,
  OutputParseError,
  type OutputParser,
  type ParserSetup,
  partialMark,
} from "../output.ts";
import type { NamedParser } from "./table.ts";

const start = "<|start|>";
const message = "<|message|>";
const end = "<|end|>";
const channelMark = "<|channel|>";

const builtIn = new Set(["browser.open", "browser.search", "browser.find", "python"]);

/** Names of tools as the prompt writes them: identifiers, no two alike. From the tool's name to that. */
export function harmonyNames(tools: readonly Tool[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const { function: fn } of tools) {
    if (names.has(fn.name)) continue;
    const plain = builtIn.has(fn.name) ? fn.name : identifier(fn.name);
    let name = plain;
    for (let n = 2; taken.has(name); n++) name = `${plain}_${n}`;
    taken.add(name);
    names.set(fn.name, name);
  }
  return names;
}

function identifier(name: string): string {
  const plain = name.replace(/[ .-]/g, "_").replace(/[^\p{L}\p{Nd}_$]/gu, "");
  if (plain === "") return "unnamed";
  return /^\p{Nd}/u.test(plain) ? `_${plain}` : plain;
}

type Target = "thinking" | "content" | "call";

class HarmonyParser implements OutputParser {
  readonly #names: ReadonlyMap<string, string>;
  #state: "between" | "header" | "body" = "header";
  #target: Target = "content";
  /** The output goes on behind a header's first words. */
  #held = "assistant";
  #recipient = "";
  #call = "";

  constructor({ tools, lastMessage }: ParserSetup) {
    this.#names = new Map([...harmonyNames(tools)].map(([name, shown]) => [shown, name]));
    const thought = lastMessage?.role === "assistant" && (lastMessage.thinking ?? "") !== "";
    if (!isPrefill(lastMessage) && !thought) return;
    this.#held = "";
    this.#state = "body";
    if (!isPrefill(lastMessage)) this.#target = "thinking";
  }

  add(text: string, last: boolean): Output {
    this.#held += text;
    let content = "";
    let thinking = "";
    for (let moved = true; moved; ) {
      const step = this.#step();
      if (step.target === "content") content += step.text;
      else if (step.target === "thinking") thinking += step.text;
      else this.#call += step.text;
      moved = step.moved;
    }
    const calls = last && this.#recipient !== "" ? [this.#finish()] : [];
    return { content, thinking, calls };
  }

  #step(): { text: string; target: Target; moved: boolean } {
    const { mark, next } = this.#exit();
    const at = this.#held.indexOf(mark);
    const target = this.#target;
    const shown = this.#state === "body";
    if (at < 0) {
      const certain = this.#held.length - partialMark(this.#held, [mark]);
      const text = shown ? this.#held.slice(0, certain) : "";
      if (this.#state !== "header") this.#held = this.#held.slice(certain);
      return { text, target, moved: false };
    }
    const text = this.#held.slice(0, at);
    this.#held = this.#held.slice(at + mark.length);
    if (this.#state === "header") this.#readHeader(text);
    this.#state = next;
    return { text: shown ? text : "", target, moved: true };
  }

  #exit(): { mark: string; next: "between" | "header" | "body" } {
    if (this.#state === "header") return { mark: message, next: "body" };
    if (this.#state === "body") return { mark: end, next: "between" };
    return { mark: start, next: "header" };
  }

  /** A header's words: a role, a recipient at once behind it or in its place, and the channel anywhere. */
  #readHeader(text: string): void {
    const [before = "", ...others] = text
      .replace("<|constrain|>", " <|constrain|>")
      .split(channelMark);
    const after = others.join(channelMark);
    const channel = /^\S*/.exec(after)?.[0] ?? "";
    const words = `${before}${after.slice(channel.length)}`.trim().split(/\s+/);
    const recipient = words
      .slice(0, 2)
      .find((word) => word.startsWith("to="))
      ?.slice("to=".length);
    if (recipient && (channel === "analysis" || channel === "commentary")) {
      this.#recipient = recipient;
      this.#target = "call";
    } else this.#target = channel === "analysis" ? "thinking" : "content";
  }

  #finish() {
    const shown = this.#recipient.replace(/^functions\./, "");
    const fail = (reason: string, cause?: unknown): never => {
      throw new OutputParseError(`error parsing tool call: raw='${this.#call}', err=${reason}`, {
        cause,
      });
    };
    let value: unknown;
    try {
      value = JSON.parse(this.#call);
    } catch (cause) {
      fail(cause instanceof Error ? cause.message : String(cause), cause);
    }
    if (!isObject(value)) return fail("arguments are not an object");
    return { name: this.#names.get(shown) ?? shown, arguments: value };
  }
}

export const harmony: NamedParser = {
  tools: true,
  thinking: true,
  preserved: [start, end, message, channelMark, "<|constrain|>"],
  create: (setup) => new HarmonyParser(setup),
};
