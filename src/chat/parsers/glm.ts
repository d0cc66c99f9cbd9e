/** GLM: `<tool_call>name<arg_key>k</arg_key><arg_value>v</arg_value>..</tool_call>`. */
import { goQuote } from "../../model/gojson.ts";
import type { Tool } from "../messages.ts";
import { OutputParseError, type ParsedCall, partialMark } from "../output.ts";
import { type Layout, MarkedParser, type Section } from "./marked.ts";
import type { NamedParser } from "./table.ts";
import { parameterValue, propertiesOf } from "./typed.ts";

const cycle = ["<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"] as const;

interface RawCall {
  name: string;
  readonly keys: string[];
  readonly values: string[];
}

/** A tag, or the end of the text, and what stands in front of it. */
interface Piece {
  readonly text: string;
  /** Its place in the cycle; undefined at the end. */
  readonly tag: number | undefined;
  readonly end: number;
}

function piecesOf(body: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const found of body.matchAll(/<\/?arg_(?:key|value)>/g)) {
    const tag = cycle.indexOf(found[0] as (typeof cycle)[number]);
    const end = found.index + found[0].length;
    pieces.push({ text: body.slice(at, found.index), tag, end });
    at = end;
  }
  pieces.push({ text: body.slice(at), tag: undefined, end: body.length });
  return pieces;
}

/**
 * Reads tags that close each other as they should. What stands outside of keys and values belongs to
 * the name. @throws OutputParseError where they do not
 */
function readStrictly(body: string): RawCall {
  const raw: RawCall = { name: "", keys: [], values: [] };
  const open: { tag: number; text: string }[] = [];
  for (const { text, tag, end } of piecesOf(body)) {
    const top = open.at(-1);
    if (top === undefined) raw.name += text;
    else top.text += text;
    if (tag === undefined ? top !== undefined : tag % 2 === 1 && top?.tag !== tag - 1) {
      const line = body.slice(0, end).split("\n").length;
      const names = ["arg_key", "arg_key", "arg_value", "arg_value"];
      const [opened, closed] = [top?.tag, tag].map((one) => names[one ?? -1] ?? "tool_call");
      throw new OutputParseError(
        `XML syntax error on line ${line}: element <${opened}> closed by </${closed}>`,
      );
    }
    if (tag === undefined) break;
    if (tag % 2 === 0) open.push({ tag, text: "" });
    else {
      open.pop();
      if (open.length === 0) (tag === 1 ? raw.keys : raw.values).push(top?.text ?? "");
    }
  }
  raw.name = raw.name.trim();
  return raw;
}

/** Walks the cycle of tags; one that is missing is taken to stand where another was found. */
class Repair {
  readonly raw: RawCall = { name: "", keys: [], values: [] };
  /** The tag that is due. */
  #due = 0;
  #text = "";

  read(body: string): RawCall {
    const pieces = piecesOf(body);
    const [first, ...rest] = pieces;
    this.#begin(first?.text ?? "", first?.tag);
    for (const { text, tag } of [{ text: "", tag: first?.tag }, ...rest]) this.#take(text, tag);
    // A key or a value that is begun is ended, a key without a value gets an empty one.
    while (this.#due !== 0) this.#pass();
    this.raw.name = this.raw.name.trim();
    return this.raw;
  }

  /** `name key</arg_key>`: the opening tag was swallowed together with the white space. */
  #begin(text: string, tag: number | undefined): void {
    const space = tag === 0 || tag === undefined ? -1 : text.search(/\s/);
    this.raw.name = space < 0 ? text : text.slice(0, space);
    if (space < 0) return;
    this.#pass();
    this.#text = text.slice(space).trimStart();
  }

  #take(text: string, tag: number | undefined): void {
    if (tag === undefined) {
      if (this.#due % 2 === 1) this.#text += text;
      return;
    }
    let rest = text;
    if (this.#due % 2 === 0 && this.#due !== tag && rest !== "") {
      this.#pass();
      this.#text = rest;
      rest = "";
    }
    while (this.#due !== tag) {
      if (this.#due % 2 === 1 && (this.#due + 1) % cycle.length === tag) {
        this.#text += rest;
        rest = "";
      }
      this.#pass();
    }
    if (tag % 2 === 1) this.#text += rest;
    else this.raw.name += rest;
    this.#pass();
  }

  /** The tag that is due stands here. */
  #pass(): void {
    if (this.#due === 1) this.raw.keys.push(this.#text);
    if (this.#due === 3) this.raw.values.push(this.#text);
    this.#text = "";
    this.#due = (this.#due + 1) % cycle.length;
  }
}

function repaired(body: string): RawCall {
  try {
    return readStrictly(body);
  } catch (error) {
    if (!(error instanceof OutputParseError)) throw error;
    return new Repair().read(body);
  }
}

function checkName({ name, keys, values }: RawCall): void {
  if (name === "") throw new OutputParseError("empty function name");
  if (keys.length !== values.length) {
    throw new OutputParseError(
      `mismatched arg_key and arg_value counts: ${keys.length} keys, ${values.length} values`,
    );
  }
}

function typedCall({ name, keys, values }: RawCall, tools: readonly Tool[]): ParsedCall {
  const properties = propertiesOf(tools, name);
  const entries = keys.map((key, i) => {
    const text = values[i] ?? "";
    return [key.trim(), parameterValue(text, properties[key.trim()])];
  });
  return { name, arguments: Object.fromEntries(entries) };
}

function glmCall(body: string, tools: readonly Tool[]): ParsedCall {
  const raw = repaired(body.trim());
  checkName(raw);
  return typedCall(raw, tools);
}

/** A call that the end of the output cut off counts only when nothing is missing but its last mark. */
function cutCall(body: string, tools: readonly Tool[]): ParsedCall {
  const cut = partialMark(body, [closeMark]);
  const whole = cut > 0 ? body.slice(0, -cut).trimEnd() : body;
  try {
    const raw = readStrictly(whole.trimStart());
    checkName(raw);
    checkWhole(raw, tools);
    return typedCall(raw, tools);
  } catch (error) {
    if (!(error instanceof OutputParseError)) throw error;
    throw new OutputParseError(`incomplete GLM tool call: ${error.message}`, { cause: error });
  }
}

function checkWhole({ name, keys }: RawCall, tools: readonly Tool[]): void {
  const tool = tools.find((one) => one.function.name === name);
  if (tool === undefined) throw new OutputParseError(`tool ${goQuote(name)} is not declared`);
  const names = keys.map((key) => key.trim());
  if (names.includes("")) throw new OutputParseError("empty argument name");
  const { required = [] } = tool.function.parameters ?? {};
  const missing = required.find((key) => !names.includes(key));
  if (missing === undefined) return;
  throw new OutputParseError(
    `required argument ${goQuote(missing)} is missing for tool ${goQuote(name)}`,
  );
}

const closeMark = "</tool_call>";

function section(tools: readonly Tool[]): Section {
  return {
    open: "<tool_call>",
    close: closeMark,
    read: (body) => ({ calls: [glmCall(body, tools)] }),
    readOpen: (body) => ({ calls: [cutCall(body, tools)] }),
  };
}

const preserved = ["<think>", "</think>", "<tool_call>", "</tool_call>", ...cycle];

export const glm47: NamedParser = {
  tools: true,
  thinking: true,
  preserved,
  create: ({ tools, think }) => {
    const layout: Layout = { sections: [section(tools)], contentEnd: "vanish" };
    const thinking = { open: "<think>", close: "</think>", endedBy: [] };
    return new MarkedParser({
      ...layout,
      thinking:
        think?.on === false
          ? { ...thinking, starts: "leading" }
          : { close: "</think>", endedBy: [], starts: "inside", keepsLeadingSpace: true },
    });
  },
};

export const glmOcr: NamedParser = {
  tools: true,
  thinking: false,
  preserved,
  create: ({ tools }) =>
    new MarkedParser({
      sections: [section(tools)],
      contentEnd: "vanish",
      thinking: { open: "<think>", close: "</think>", endedBy: [], starts: "leading" },
    }),
};
