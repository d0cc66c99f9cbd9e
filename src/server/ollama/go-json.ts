/**
 * The first JSON value of a body, as Go's decoder takes it: what follows is ignored, errors are worded
 * as Go does, a byte order mark is an error (api.md 1.2).
 */
import { InvalidRequestError } from "../../errors.ts";

/** Deepest nesting that Go's decoder takes. */
const mostDepth = 10_000;

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

/** How Go shows a byte that it did not expect: as if it were a character, in quotes with escapes. */
function shownByte(byte: number): string {
  const escapes: Record<number, string> = {
    7: "\\a",
    8: "\\b",
    9: "\\t",
    10: "\\n",
    11: "\\v",
    12: "\\f",
    13: "\\r",
    39: "\\'",
    92: "\\\\",
  };
  const text = String.fromCharCode(byte);
  const code = byte < 0x80 ? `\\x${hex(byte, 2)}` : `\\u${hex(byte, 4)}`;
  const plain = /[\p{Cc}\p{Cf}\xa0]/u.test(text) ? code : text;
  return `'${escapes[byte] ?? plain}'`;
}

/** Finds where the first JSON value ends, or what is wrong with it. */
class Scanner {
  /** A character for each byte. */
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  }

  /** End of the first value. @throws InvalidRequestError */
  end(): number {
    this.#value("looking for beginning of value");
    return this.#at;
  }

  #fail(where: string): never {
    if (this.#at >= this.#text.length) throw new InvalidRequestError("unexpected EOF");
    const byte = this.#text.charCodeAt(this.#at);
    throw new InvalidRequestError(`invalid character ${shownByte(byte)} ${where}`);
  }

  #skip(): void {
    while (" \t\r\n".includes(this.#text[this.#at] ?? "x")) this.#at++;
  }

  #value(where: string): void {
    if (++this.#depth > mostDepth) throw new InvalidRequestError("exceeded max depth");
    this.#skip();
    const character = this.#text[this.#at];
    if (character === "{") this.#object();
    else if (character === "[") this.#array();
    else if (character === '"') this.#string();
    else if (character !== undefined && /[-0-9]/.test(character)) this.#number();
    else this.#word(where);
    this.#depth--;
  }

  #word(where: string): void {
    const word = ["true", "false", "null"].find((known) => known[0] === this.#text[this.#at]);
    if (word === undefined) this.#fail(where);
    for (const letter of word) {
      if (this.#text[this.#at] !== letter) this.#fail(`in literal ${word} (expecting '${letter}')`);
      this.#at++;
    }
  }

  #number(): void {
    this.#take(/-?/y);
    if (this.#take(/0|[1-9]\d*/y) === "") this.#fail("in numeric literal");
    if (this.#take(/\./y) !== "" && this.#take(/\d+/y) === "") {
      this.#fail("after decimal point in numeric literal");
    }
    if (this.#take(/[eE][+-]?/y) !== "" && this.#take(/\d+/y) === "") {
      this.#fail("in exponent of numeric literal");
    }
  }

  /** Goes past what a sticky pattern matches here. */
  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += text.length;
    return text;
  }

  #string(): void {
    this.#at++;
    for (;;) {
      const character = this.#text[this.#at];
      if (character === undefined) this.#fail("");
      if (character === '"') break;
      if (character < " ") this.#fail("in string literal");
      if (character === "\\") {
        this.#at++;
        const code = this.#text[this.#at];
        if (code === undefined || !'"\\/bfnrtu'.includes(code)) this.#fail("in string escape code");
        if (code === "u") {
          for (let i = 0; i < 4; i++) {
            this.#at++;
            if (!/[0-9a-fA-F]/.test(this.#text[this.#at] ?? ""))
              this.#fail("in \\u hexadecimal character escape");
          }
        }
      }
      this.#at++;
    }
    this.#at++;
  }

  #object(): void {
    this.#at++;
    this.#skip();
    if (this.#text[this.#at] === "}") {
      this.#at++;
      return;
    }
    for (;;) {
      this.#skip();
      if (this.#text[this.#at] !== '"') this.#fail("looking for beginning of object key string");
      this.#string();
      this.#skip();
      if (this.#text[this.#at] !== ":") this.#fail("after object key");
      this.#at++;
      this.#value("looking for beginning of value");
      this.#skip();
      const next = this.#text[this.#at];
      if (next !== "," && next !== "}") this.#fail("after object key:value pair");
      this.#at++;
      if (next === "}") return;
    }
  }

  #array(): void {
    this.#at++;
    this.#skip();
    if (this.#text[this.#at] === "]") {
      this.#at++;
      return;
    }
    for (;;) {
      this.#value("looking for beginning of value");
      this.#skip();
      const next = this.#text[this.#at];
      if (next !== "," && next !== "]") this.#fail("after array element");
      this.#at++;
      if (next === "]") return;
    }
  }
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The first JSON value of a body and its text; undefined when there is nothing but white space.
 * @throws InvalidRequestError in Go's words
 */
export function firstValue(
  bytes: Uint8Array,
): { readonly value: unknown; readonly text: string } | undefined {
  const text = decoder.decode(bytes);
  try {
    return { value: JSON.parse(text), text };
  } catch {
    if (/^[ \t\r\n]*$/.test(text)) return undefined;
    // More than one value, or a broken one: find out which.
    const first = decoder.decode(bytes.subarray(0, new Scanner(bytes).end()));
    return { value: JSON.parse(first), text: first };
  }
}
