/** Glimmer: messages whose header names a recipient: oneself, a tool or the user (output-parsing.md 5 M). */
import type { Tool } from "../messages.ts";
import {
  firstMark,
  type Output,
  OutputParseError,
  type OutputParser,
  type ParsedCall,
  type ParserSetup,
  partialMark,
} from "../output.ts";
import type { NamedParser } from "./table.ts";
import { propertiesOf, typedValue } from "./typed.ts";

const start = "<|start|>";
const message = "<|message|>";
const ends = ["<|eom|>", "<|eot|>"];
const wrapper = "<atem:function_calls>";

/** The invoke that a body consists of; undefined for any other text. */
function invokeIn(body: string): { name: string; parameters: string } | undefined {
  const whole = /^\s*<atem:function_calls>([\s\S]*)<\/atem:function_calls>\s*$/.exec(body);
  const invoke = /^\s*<atem:invoke name="([^"]*)">([\s\S]*)<\/atem:invoke>\s*$/.exec(
    whole?.[1] ?? "",
  );
  if (invoke === null) return undefined;
  return { name: invoke[1] ?? "", parameters: invoke[2] ?? "" };
}

class GlimmerParser implements OutputParser {
  readonly #tools: readonly Tool[];
  readonly #thinks: boolean;
  #state: "header" | "body" | "between" = "header";
  #held = "";
  #recipient = "";
  /** The body so far is only white space, so that it may still be nothing but a call. */
  #begun = false;

  constructor({ tools, think }: ParserSetup) {
    this.#tools = tools;
    this.#thinks = think?.on !== false;
  }

  add(text: string, last: boolean): Output {
    this.#held += text;
    const draft = { content: "", thinking: "", calls: [] as ParsedCall[] };
    for (let moved = true; moved; ) moved = this.#step(draft, last);
    return draft;
  }

  #step(draft: { content: string; thinking: string; calls: ParsedCall[] }, last: boolean): boolean {
    if (this.#state === "body") return this.#body(draft, last);
    const at = this.#held.indexOf(message);
    if (at < 0) {
      // No header at all: the output is plain text.
      if (last && this.#state === "header") draft.content += this.#held;
      if (last) this.#held = "";
      return false;
    }
    const header = this.#held.slice(0, at);
    this.#recipient =
      /(?:^|\s)to=([^\s<]+)/.exec(header.slice(header.lastIndexOf(start) + 1))?.[1] ?? "";
    this.#held = this.#held.slice(at + message.length);
    this.#state = "body";
    this.#begun = false;
    return true;
  }

  #toolName(): string | undefined {
    const name = this.#recipient.slice(this.#recipient.lastIndexOf(".") + 1);
    const declared = (one: string) => this.#tools.some((tool) => tool.function.name === one);
    if (declared(this.#recipient)) return this.#recipient;
    return declared(name) ? name : undefined;
  }

  #body(draft: { content: string; thinking: string; calls: ParsedCall[] }, last: boolean): boolean {
    const found = firstMark(this.#held, ends);
    const tool = this.#recipient === "self" ? undefined : this.#toolName();
    const closed = found !== undefined || last;
    const waits =
      tool !== undefined || (this.#recipient !== "self" && !this.#begun && this.#mayCall());
    if (waits && !closed) return false;
    const certain =
      found?.at ?? (last ? this.#held.length : this.#held.length - partialMark(this.#held, ends));
    const text = this.#held.slice(0, certain);
    this.#held = this.#held.slice(certain + (found?.mark.length ?? 0));
    if (tool !== undefined) draft.calls.push(this.#call(text, tool));
    else if (this.#recipient === "self") draft.thinking += this.#thinks ? text : "";
    else this.#content(draft, text, waits);
    this.#begun = true;
    if (found === undefined) {
      if (last) this.#state = "between";
      return false;
    }
    this.#state = "between";
    return true;
  }

  #mayCall(): boolean {
    const text = this.#held.trimStart();
    return text.startsWith(wrapper) || wrapper.startsWith(text);
  }

  #content(draft: { content: string; calls: ParsedCall[] }, text: string, whole: boolean): void {
    const name = whole ? invokeIn(text)?.name : undefined;
    const declared = this.#tools.some((tool) => tool.function.name === name);
    if (name !== undefined && declared) draft.calls.push(this.#call(text, name));
    else draft.content += text;
  }

  #call(body: string, name: string): ParsedCall {
    const invoke = invokeIn(body);
    if (invoke === undefined) {
      throw new OutputParseError(
        `parse Glimmer call to ${name}: missing ATEM function_calls wrapper`,
      );
    }
    if (invoke.name !== name) {
      throw new OutputParseError(
        `Glimmer recipient "${this.#recipient}" does not match ATEM invoke "${invoke.name}"`,
      );
    }
    const properties = propertiesOf(this.#tools, name);
    const values: Record<string, unknown> = {};
    const pattern = /<atem:parameter name="([^"]*)">([\s\S]*?)<\/atem:parameter>/g;
    for (const [, key = "", value = ""] of invoke.parameters.matchAll(pattern)) {
      values[key] = typedValue(value, properties[key]);
    }
    return { name, arguments: values };
  }
}

export const glimmer: NamedParser = {
  tools: true,
  thinking: true,
  preserved: [start, message, ...ends],
  create: (setup) => new GlimmerParser(setup),
};
