/**
 * A call as `<function=name><parameter=key>value</parameter>..</function>` (syntax B of
 * output-parsing.md 5). Only tags of these two names are markup; all else is literal, entities too.
 */
import type { Tool } from "../messages.ts";
import { OutputParseError, type ParsedCall } from "../output.ts";
import { parameterValue, propertiesOf } from "./typed.ts";

interface Tag {
  readonly kind: string;
  readonly closes: boolean;
  readonly name: string;
  readonly at: number;
  readonly end: number;
}

const tagPattern =
  /<(?:(function|parameter)(?:=([^>]+)|\s+name="([^"]*)")?|\/(function|parameter))>/g;

function* tagsOf(text: string): Generator<Tag> {
  for (const found of text.matchAll(tagPattern)) {
    const [whole, opens, bare, quoted, closes] = found;
    const kind = opens ?? closes ?? "";
    const name = bare ?? quoted ?? "";
    const { index: at } = found;
    yield { kind, closes: closes !== undefined, name, at, end: at + whole.length };
  }
}

/** Reads tags in order and checks that they close each other. */
class CallReader {
  readonly #text: string;
  readonly #open: Tag[] = [];
  readonly values: [key: string, value: string][] = [];
  #value = "";
  #read = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** True at the end of the call. */
  take(tag: Tag): boolean {
    const inValue = this.#open.length === 2 && this.#open[1]?.kind === "parameter";
    if (inValue) this.#value += this.#text.slice(this.#read, tag.at);
    this.#read = tag.end;
    if (!tag.closes) {
      if (this.#open.length === 0 && tag.kind !== "function") {
        throw new OutputParseError(`expected element type <function> but have <${tag.kind}>`);
      }
      this.#open.push(tag);
      if (this.#open.length === 2) this.#value = "";
      return false;
    }
    const opened = this.#open.pop();
    if (opened === undefined) this.#fail(tag.end, `unexpected end element </${tag.kind}>`);
    if (opened?.kind !== tag.kind) {
      this.#fail(tag.end, `element <${opened?.kind}> closed by </${tag.kind}>`);
    }
    if (inValue && opened !== undefined) this.values.push([opened.name, this.#value]);
    return this.#open.length === 0;
  }

  /** @throws OutputParseError: the text ended too early. */
  end(): never {
    if (this.#open.length === 0) throw new OutputParseError("EOF");
    return this.#fail(this.#text.length, "unexpected EOF");
  }

  #fail(at: number, reason: string): never {
    const line = this.#text.slice(0, at).split("\n").length;
    throw new OutputParseError(`XML syntax error on line ${line}: ${reason}`);
  }
}

/** @throws OutputParseError for missing or crossing tags */
export function xmlCall(text: string, tools: readonly Tool[]): ParsedCall {
  const reader = new CallReader(text);
  let name: string | undefined;
  for (const tag of tagsOf(text)) {
    const ended = reader.take(tag);
    name ??= tag.name;
    if (ended) return { name, arguments: typedValues(reader.values, propertiesOf(tools, name)) };
  }
  return reader.end();
}

function typedValues(
  values: readonly [key: string, value: string][],
  properties: ReturnType<typeof propertiesOf>,
): Record<string, unknown> {
  return Object.fromEntries(
    values.map(([key, value]) => [key, parameterValue(value, properties[key])]),
  );
}
