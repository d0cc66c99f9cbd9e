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

  call(): ParsedCall {
    this.#blank();
    const name = this.#match(/[\p{L}_][\p{L}\p{N}_.-]*/uy);
    if (name === undefined) throw new BadLiteral();
    this.#expect("(");
    const values: Record<string, unknown> = {};
    while (!this.take(")")) {
      this.#blank();
      const key = this.#match(/[\p{L}_][\p{L}\p{N}_]*/uy);
      if (key === undefined) throw new BadLiteral();
      this.#expect("=");
      values[key] = this.#value();
      if (!this.take(",")) {
        this.#expect(")");
        break;
      }
    }
    return { name, arguments: values };
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
      .filter((line) => line.trim() !== "")
      .map((line) => {
        const reader = new PythonReader(line);
        const call = reader.call();
        if (!reader.atEnd) throw new BadLiteral();
        return call;
      }),
  );
}

/** Calls parted by commas, in brackets or not; undefined when it is anything else. */
export function pythonList(text: string): ParsedCall[] | undefined {
  return tryRead(() => {
    const reader = new PythonReader(text);
    const bracket = reader.take("[");
    const calls: ParsedCall[] = [];
    do calls.push(reader.call());
    while (reader.take(","));
    if (bracket && !reader.take("]")) throw new BadLiteral();
    if (!reader.atEnd) throw new BadLiteral();
    return calls;
  });
}
