/**
 * Finds tool calls in the output of models whose template shows only how calls begin
 * (output-parsing.md 3): after the tag comes a declared tool's name and a JSON object.
 */
import type { Tool } from "./messages.ts";
import {
  balancedEnd,
  isObject,
  type Output,
  type OutputParser,
  type ParsedCall,
  parseObject,
  partialMark,
  topObjects,
} from "./output.ts";

export class ToolSplitter implements OutputParser {
  readonly #tag: string;
  readonly #names: readonly string[];
  /** With `{` or `[` as tag, calls come first or not at all, and plain JSON is content. */
  readonly #bracket: boolean;
  #state: "looking" | "calling" | "done" = "looking";
  #held = "";
  /** Everything since the tag, to give back when it held no call. */
  #sinceTag = "";
  #blank = true;
  #found = 0;

  /** `tag` is what the template writes before calls, `{` when it shows nothing. */
  constructor(tools: readonly Tool[], tag: string) {
    this.#tag = tag === "" ? "{" : tag;
    this.#names = tools.map((tool) => tool.function.name).filter((name) => name !== "");
    this.#bracket = this.#tag === "{" || this.#tag === "[";
  }

  add(text: string, last: boolean): Output {
    let content = "";
    this.#held += text;
    if (this.#state === "looking") content += this.#look(last);
    else if (this.#state === "calling") this.#sinceTag += text;
    const calls: ParsedCall[] = [];
    if (this.#state === "calling") {
      for (let call = this.#call(last); call !== undefined; call = this.#call(last))
        calls.push(call);
      this.#found += calls.length;
      if (this.#bracket) this.#leaveWhenClosed(last);
    }
    if (this.#state === "done") {
      content += this.#held;
      this.#held = "";
    }
    return { content, thinking: "", calls };
  }

  /** Content before the tag; the tag itself stays in the buffer as it may open the object. */
  #look(last: boolean): string {
    const at = this.#held.indexOf(this.#tag);
    const certain = at >= 0 ? at : this.#held.length - partialMark(this.#held, [this.#tag]);
    const content = this.#held.slice(0, last && at < 0 ? undefined : certain);
    this.#held = this.#held.slice(content.length);
    this.#blank &&= content.trim() === "";
    if (this.#bracket && !this.#blank) this.#state = "done";
    else if (at >= 0) {
      this.#state = "calling";
      if (!this.#bracket) this.#held = this.#held.slice(this.#tag.length);
      // `[` encloses the objects and is of no use to them; `{` is the first object's own.
      this.#sinceTag = this.#held;
      if (this.#tag === "[") this.#held = this.#held.slice(1);
    }
    return content;
  }

  #call(last: boolean): ParsedCall | undefined {
    const name = this.#name(last);
    if (name === undefined) return undefined;
    const found = this.#arguments(name.name);
    if (found === undefined) return undefined;
    this.#held = this.#held.slice(Math.max(name.end, found.end));
    return { name: name.name, arguments: found.arguments };
  }

  /** The declared name that stands first, the longest of several at one place. */
  #name(last: boolean): { name: string; end: number } | undefined {
    let best: { name: string; end: number; at: number } | undefined;
    for (const name of this.#names) {
      const at = this.#held.indexOf(name);
      if (at < 0) continue;
      if (
        best === undefined ||
        at < best.at ||
        (at === best.at && name.length > best.name.length)
      ) {
        best = { name, at, end: at + name.length };
      }
    }
    if (best === undefined || last) return best;
    // What reaches the end may still grow into a longer name.
    const rest = this.#held.slice(best.at);
    const grows = (name: string) => name.length > rest.length && name.startsWith(rest);
    return this.#names.some(grows) ? undefined : best;
  }

  #arguments(name: string): { arguments: Record<string, unknown>; end: number } | undefined {
    for (const { start, end } of topObjects(this.#held)) {
      const object = parseObject(this.#held.slice(start, end));
      if (object === undefined) continue;
      const found = argumentsIn(object, name);
      return found === undefined ? undefined : { arguments: found, end };
    }
    return undefined;
  }

  /**
   * Leaves for good when the bracket is closed, or the output ends, and it held no call: plain JSON is
   * content. After a call others may follow; what is between and behind them is swallowed.
   */
  #leaveWhenClosed(last: boolean): void {
    if (this.#found > 0) return;
    if (!last && balancedEnd(this.#sinceTag, 0) < 0) return;
    this.#held = this.#sinceTag;
    this.#state = "done";
  }
}

/** The arguments inside an object that names a tool, wherever the model put them. */
function argumentsIn(
  object: Record<string, unknown>,
  name: string,
): Record<string, unknown> | undefined {
  const found = callIn(object, name);
  return found === "none" ? object : found;
}

function callIn(
  object: Record<string, unknown>,
  name: string,
): Record<string, unknown> | undefined | "none" {
  if ("name" in object) return asObject(object.arguments) ?? asObject(object.parameters);
  const keyed = asObject(object[name]);
  if (keyed !== undefined) return keyed;
  for (const value of Object.values(object)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (!isObject(item)) continue;
      const nested = callIn(item, name);
      if (nested !== "none") return nested;
    }
  }
  return "none";
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  if (typeof value === "string") return parseObject(value);
  return isObject(value) ? value : undefined;
}
