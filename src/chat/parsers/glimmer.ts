/** Glimmer: messages whose header names a recipient: oneself, a tool or the user (output-parsing.md 5 M). */

import { goQuote } from "../../model/gojson.ts";
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
const headerStart = `${start}assistant`;
const wrapper = ["<atem:function_calls>", "</atem:function_calls>"] as const;
const invokeMark = ['<atem:invoke name="', "</atem:invoke>"] as const;
const parameterMark = ['<atem:parameter name="', "</atem:parameter>"] as const;

/** What stands between two marks that a text begins and ends with, but for white space. */
function between(text: string, [open, close]: readonly [string, string]): string | undefined {
  const bare = text.trim();
  const fits = bare.length >= open.length + close.length;
  if (!fits || !bare.startsWith(open) || !bare.endsWith(close)) return undefined;
  return bare.slice(open.length, bare.length - close.length);
}

interface Invoke {
  readonly name: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** The name in front of `">`; a stray mark of a message's beginning is dropped, or stands for these. */
function cutName(text: string): { name: string; rest: string } | undefined {
  let name = "";
  for (let rest = text; ; ) {
    const end = rest.indexOf('">');
    const stray = rest.indexOf(message);
    if (stray >= 0 && (end < 0 || stray < end)) {
      name += rest.slice(0, stray);
      rest = rest.slice(stray + message.length);
      if (rest.startsWith(parameterMark[0])) return { name, rest };
    } else if (end < 0) return undefined;
    else return { name: name + rest.slice(0, end), rest: rest.slice(end + 2) };
  }
}

/** @throws OutputParseError saying what is wrong */
function readInvoke(body: string): Invoke {
  const fail = (reason: string): never => {
    throw new OutputParseError(reason);
  };
  const inner = between(body, wrapper) ?? fail("missing ATEM function_calls wrapper");
  const whole = between(inner, invokeMark) ?? fail("missing ATEM invoke wrapper");
  const { name, rest } = cutName(whole) ?? fail("malformed ATEM invoke name");
  const parameters: (readonly [string, string])[] = [];
  const [open, close] = parameterMark;
  for (let left = rest.replace(/^\n/, "").replace(/\n$/, ""); left !== ""; ) {
    if (!left.startsWith(open)) fail("malformed ATEM parameter");
    const nameEnd = left.indexOf('">', open.length);
    if (nameEnd < 0) fail("malformed ATEM parameter name");
    const key = left.slice(open.length, nameEnd);
    const end = left.indexOf(close, nameEnd + 2);
    if (end < 0) fail(`unterminated ATEM parameter ${goQuote(key)}`);
    parameters.push([key, left.slice(nameEnd + 2, end)]);
    left = left.slice(end + close.length).replace(/^\n/, "");
  }
  return { name, parameters };
}

type Draft = { content: string; thinking: string; calls: ParsedCall[] };

class GlimmerParser implements OutputParser {
  readonly #tools: readonly Tool[];
  readonly #thinks: boolean;
  #inBody = false;
  #held = "";
  #recipient = "";
  /** Some of the body was given out, so that it cannot be a call any more. */
  #streamed = false;

  constructor({ tools, think }: ParserSetup) {
    this.#tools = tools;
    this.#thinks = think?.on !== false;
  }

  add(text: string, last: boolean): Output {
    this.#held += text;
    const draft: Draft = { content: "", thinking: "", calls: [] };
    try {
      while (this.#inBody ? this.#body(draft, last) : this.#header(draft, last));
    } catch (error) {
      if (error instanceof OutputParseError) error.before = draft;
      throw error;
    }
    return draft;
  }

  #header(draft: Draft, last: boolean): boolean {
    if (this.#held.startsWith(headerStart)) this.#held = this.#held.slice(headerStart.length);
    else if (this.#held !== "" && headerStart.startsWith(this.#held) && !last) return false;
    const at = this.#held.indexOf(message);
    if (at < 0) {
      // No header at all: the output is plain text.
      if (last) draft.content += this.#held;
      if (last) this.#held = "";
      return false;
    }
    const header = this.#held.slice(0, at).trim();
    this.#recipient = header.replace(/^to=/, "").trim();
    this.#held = this.#held.slice(at + message.length);
    this.#inBody = true;
    this.#streamed = false;
    return true;
  }

  /** The declared name that one stands for: itself, or `name.name` for a tool without a namespace. */
  #resolved(name: string): string | undefined {
    const declared = (one: string) =>
      one !== "" && this.#tools.some((tool) => tool.function.name.trim() === one);
    if (declared(name)) return name;
    const dot = name.indexOf(".");
    const rest = name.slice(dot + 1);
    return dot >= 0 && declared(rest) && name.slice(0, dot) === rest.split(".")[0]
      ? rest
      : undefined;
  }

  #body(draft: Draft, last: boolean): boolean {
    const tool = this.#recipient === "self" ? undefined : this.#resolved(this.#recipient);
    const waits = tool !== undefined || this.#mayCall();
    const { length, skip, closed } = this.#bodyEnd(waits, last);
    if (waits && !closed) return false;
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length + skip);
    if (tool !== undefined) draft.calls.push(this.#call(text, tool));
    else if (this.#recipient === "self") draft.thinking += this.#thinks ? text : "";
    else this.#content(draft, text, closed);
    this.#inBody = !closed;
    return closed && !last ? true : closed && this.#held !== "";
  }

  /** Where the body ends, or how far it is certain; marks inside a block of calls do not count. */
  #bodyEnd(waits: boolean, last: boolean): { length: number; skip: number; closed: boolean } {
    const held = this.#held;
    const block = waits ? held.indexOf(wrapper[1]) : -1;
    const from = !waits ? 0 : block < 0 ? held.length : block + wrapper[1].length;
    const found = firstMark(held.slice(from), ends);
    const end = found === undefined ? held.length : from + found.at;
    const next = this.#nextHeader(from, last);
    if (next !== undefined && next.at < end && next.whole) {
      return { length: next.at, skip: 0, closed: true };
    }
    if (found !== undefined) return { length: end, skip: found.mark.length, closed: true };
    if (last) return { length: held.length, skip: 0, closed: true };
    const certain = next?.at ?? held.length - partialMark(held, ends);
    return { length: certain, skip: 0, closed: false };
  }

  /** A header that follows without an end in front; not `whole` while it may still become one. */
  #nextHeader(from: number, last: boolean): { at: number; whole: boolean } | undefined {
    for (let at = this.#held.indexOf(start, from); at >= 0; ) {
      const status = this.#headerAt(this.#held.slice(at), last);
      if (status !== undefined) return { at, whole: status };
      at = this.#held.indexOf(start, at + start.length);
    }
    if (last) return undefined;
    const partial = partialMark(this.#held.slice(from), [headerStart]);
    return partial > 0 ? { at: this.#held.length - partial, whole: false } : undefined;
  }

  /** True for a header to somebody who is known, false for the beginning of one. */
  #headerAt(text: string, last: boolean): boolean | undefined {
    const found = /^<\|start\|>assistant(?: to=([^\s<]*))?<\|message\|>/.exec(text);
    if (found !== null) {
      const [, to = "user"] = found;
      const known = to === "self" || to === "user" || this.#declared(to);
      return known ? true : undefined;
    }
    if (last) return undefined;
    const head = /^<\|start\|>assistant(?: to=[^\s<]*)?/.exec(text)?.[0] ?? "";
    const rest = text.slice(head.length);
    const opens = head === "" ? headerStart : head.includes(" to=") ? message : "";
    const begins =
      opens === "" ? message.startsWith(rest) || " to=".startsWith(rest) : opens.startsWith(rest);
    return begins ? false : undefined;
  }

  #declared(name: string): boolean {
    return this.#tools.some((tool) => tool.function.name.trim() === name);
  }

  /** The body so far may be nothing but a call, though its recipient is no tool. */
  #mayCall(): boolean {
    if (this.#recipient === "self" || this.#streamed || this.#tools.length === 0) return false;
    const text = this.#held.trimStart();
    return text.startsWith(wrapper[0]) || wrapper[0].startsWith(text);
  }

  #content(draft: Draft, text: string, closed: boolean): void {
    const call = closed && !this.#streamed ? this.#callInText(text) : undefined;
    if (call !== undefined) draft.calls.push(call);
    else {
      draft.content += text;
      this.#streamed ||= text !== "";
    }
  }

  #callInText(text: string): ParsedCall | undefined {
    try {
      const invoke = readInvoke(text);
      const name = this.#resolved(invoke.name);
      return name === undefined ? undefined : this.#typed(name, invoke);
    } catch (error) {
      if (error instanceof OutputParseError) return undefined;
      throw error;
    }
  }

  #call(body: string, name: string): ParsedCall {
    let invoke: Invoke;
    try {
      invoke = readInvoke(body);
    } catch (error) {
      if (!(error instanceof OutputParseError)) throw error;
      const reason = `parse Glimmer call to ${this.#recipient}: ${error.message}`;
      throw new OutputParseError(reason, { cause: error });
    }
    if (this.#resolved(invoke.name) !== name) {
      throw new OutputParseError(
        `Glimmer recipient ${goQuote(this.#recipient)} does not match ATEM invoke ${goQuote(invoke.name)}`,
      );
    }
    return this.#typed(name, invoke);
  }

  #typed(name: string, { parameters }: Invoke): ParsedCall {
    const properties = propertiesOf(this.#tools, name);
    const entries = parameters.map(([key, value]) => [key, typedValue(value, properties[key])]);
    return { name, arguments: Object.fromEntries(entries) };
  }
}

export const glimmer: NamedParser = {
  tools: true,
  thinking: true,
  preserved: [start, message, ...ends],
  create: (setup) => new GlimmerParser(setup),
};
