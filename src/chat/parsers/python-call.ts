/** Calls written like Python's: `name(key="text", n=1, l=[..])`, with literals as values. */
import type { ParsedCall } from "../output.ts";

class BadLiteral extends Error {}

const constants: Readonly<Record<string, unknown>> = {
  True: true,
  true: true,
  False: false,
  false: false,
  None: null,
  null: null,
};

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" };

class PythonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    this.#blank();
    return this.#at >= this.#text.length;
  }

  take(sign: string): boolean {
    this.#blank();
    if (!this.#text.startsWith(sign, this.#at)) return false;
    this.#at += sign.length;
    return true;
  }

  #expect(sign: string): void {
    if (!this.take(sign)) throw new BadLiteral();
  }

  #blank(): void {
    while (/\s/.test(this.#text[this.#at] ?? "x")) this.#at++;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  /** A literal that is all of the text. */
  whole(): unknown {
    const value = this.#value();
    if (!this.atEnd) throw new BadLiteral();
    return value;
  }

  #value(): unknown {
    this.#blank();
    const first = this.#text[this.#at] ?? "";
    if (first === '"' || first === "'") return this.#string(first);
    if (this.take("[")) return this.#list("]");
    if (this.take("(")) return this.#list(")");
    if (this.take("{")) return this.#map();
    const number = this.#match(/[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y);
    if (number !== undefined) return Number(number);
    const word = this.#match(/[A-Za-z]+/y) ?? "";
    if (!Object.hasOwn(constants, word)) throw new BadLiteral();
    return constants[word];
  }

  #list(close: string): unknown[] {
    const items: unknown[] = [];
    while (!this.take(close)) {
      items.push(this.#value());
      if (!this.take(",")) {
        this.#expect(close);
        break;
      }
    }
    return items;
  }

  #map(): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    while (!this.take("}")) {
      const key = this.#value();
      this.#expect(":");
      values[String(key)] = this.#value();
      if (!this.take(",")) {
        this.#expect("}");
        break;
      }
    }
    return values;
  }

  #string(quote: string): string {
    let value = "";
    for (this.#at++; this.#text[this.#at] !== quote; this.#at++) {
      const character = this.#text[this.#at];
      if (character === undefined) throw new BadLiteral();
      if (character !== "\\") {
        value += character;
        continue;
      }
      const escaped = this.#text[++this.#at] ?? "";
      const code =
        escaped === "u" ? /^[0-9a-fA-F]{4}/.exec(this.#text.slice(this.#at + 1))?.[0] : undefined;
      if (code !== undefined) {
        value += String.fromCharCode(Number.parseInt(code, 16));
        this.#at += 4;
      } else value += escapes[escaped] ?? (`\\'"`.includes(escaped) ? escaped : `\\${escaped}`);
    }
    this.#at++;
    return value;
  }
}

/** A bare text that is no literal stands for itself. */
function literalOf(text: string): unknown {
  try {
    return new PythonReader(text).whole();
  } catch (error) {
    if (!(error instanceof BadLiteral)) throw error;
    if (text === "" || (/^["']/.test(text) && !text.endsWith(text[0] ?? ""))) throw error;
    return text;
  }
}

/** A string whole, a sign, or a string that is not closed. */
const stringsAndSigns = /"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'|["'()[\]{},]/g;

/** Places of `sign` outside of strings and brackets, the bracket that closes what is open included. */
function* topLevel(text: string, sign: string, from = 0): Generator<number> {
  let depth = 0;
  stringsAndSigns.lastIndex = 0;
  for (const { 0: found, index } of text.slice(from).matchAll(stringsAndSigns)) {
    if (found === '"' || found === "'") return;
    if (found === sign && depth === 0) yield from + index;
    if ("([{".includes(found)) depth++;
    else if (")]}".includes(found)) depth--;
  }
}

/** `key=value` parted by commas. */
function argumentsOf(text: string): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  const ends = [...topLevel(text, ","), text.length];
  let start = 0;
  for (const end of ends) {
    const part = text.slice(start, end).trim();
    start = end + 1;
    if (part === "") continue;
    const equals = part.indexOf("=");
    const key = part.slice(0, Math.max(0, equals)).trim();
    if (key === "") throw new BadLiteral();
    values[key] = literalOf(part.slice(equals + 1).trim());
  }
  return values;
}

function tryRead(read: () => ParsedCall[]): ParsedCall[] | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof BadLiteral) return undefined;
    throw error;
  }
}

/** One call on each line; undefined when a line is none. */
export function pythonLines(text: string): ParsedCall[] | undefined {
  return tryRead(() =>
    text
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "")
      .map((line) => {
        const found = /^([\p{L}\p{N}_.-]+)\((.*)\)$/u.exec(line);
        if (found === null) throw new BadLiteral();
        const [, name = "", values = ""] = found;
        return { name, arguments: argumentsOf(values) };
      }),
  );
}

/** Calls parted by commas, in brackets or not; undefined when it is anything else. */
export function pythonList(text: string): ParsedCall[] | undefined {
  return tryRead(() => {
    const bare = text.trim();
    let rest = bare.startsWith("[") && bare.endsWith("]") ? bare.slice(1, -1).trim() : bare;
    const calls: ParsedCall[] = [];
    while (rest !== "") {
      const open = rest.indexOf("(");
      const name = rest.slice(0, Math.max(0, open)).trim();
      if (name === "" || /["'()[\]{}]/.test(name)) throw new BadLiteral();
      const [close] = topLevel(rest, ")", open + 1);
      if (close === undefined) throw new BadLiteral();
      calls.push({ name, arguments: argumentsOf(rest.slice(open + 1, close)) });
      rest = rest.slice(close + 1).replace(/^\s*,?\s*/, "");
    }
    if (calls.length === 0) throw new BadLiteral();
    return calls;
  });
}
