/** Text and actions of a template, and the tokens inside actions. Trimming is done here. */
import { TemplateError } from "./errors.ts";

export type TokenKind =
  | "text"
  | "open"
  | "close"
  | "field"
  | "variable"
  | "identifier"
  | "dot"
  | "nil"
  | "bool"
  | "number"
  | "char"
  | "string"
  | "("
  | ")"
  | "|"
  | ","
  | ":="
  | "="
  | "space";

export interface Token {
  readonly kind: TokenKind;
  /** Source text; for strings and texts the value. */
  readonly text: string;
  readonly line: number;
  /** Offset in UTF-16 units. */
  readonly at: number;
}

const trimmable = " \t\r\n";

export function parseError(line: number, text: string): TemplateError {
  return new TemplateError(`template: :${line}: ${text}`, "parse", line);
}

function lineAt(source: string, at: number): number {
  let line = 1;
  for (let i = source.indexOf("\n"); i >= 0 && i < at; i = source.indexOf("\n", i + 1)) line++;
  return line;
}

/** Escapes of Go's interpreted strings; undefined for a bad one. */
export function unquoteGo(body: string): string | undefined {
  const named: Readonly<Record<string, string>> = {
    a: "\x07",
    b: "\b",
    f: "\f",
    n: "\n",
    r: "\r",
    t: "\t",
    v: "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
  };
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (let i = 0; i < body.length; ) {
    if (body[i] !== "\\") {
      const character = String.fromCodePoint(body.codePointAt(i) ?? 0);
      bytes.push(...encoder.encode(character));
      i += character.length;
      continue;
    }
    const rest = body.slice(i + 1);
    const hex = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))/.exec(rest);
    if (hex !== null) {
      const byte =
        hex[1] !== undefined
          ? Number.parseInt(hex[1], 16)
          : hex[4] !== undefined
            ? Number.parseInt(hex[4], 8)
            : undefined;
      if (byte !== undefined) bytes.push(byte);
      else
        bytes.push(
          ...encoder.encode(String.fromCodePoint(Number.parseInt(hex[2] ?? hex[3] ?? "0", 16))),
        );
      i += 1 + hex[0].length;
      continue;
    }
    const escaped = named[rest[0] ?? ""];
    if (escaped === undefined) return undefined;
    bytes.push(...encoder.encode(escaped));
    i += 2;
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  lex(): Token[] {
    while (this.#at < this.#source.length) this.#textAndAction();
    return this.#tokens;
  }

  #add(kind: TokenKind, text: string, at: number): void {
    this.#tokens.push({ kind, text, at, line: lineAt(this.#source, at) });
  }

  #fail(text: string, at = this.#at): never {
    throw parseError(lineAt(this.#source, at), text);
  }

  #textAndAction(): void {
    const source = this.#source;
    const start = this.#at;
    const open = source.indexOf("{{", start);
    let end = open < 0 ? source.length : open;
    const trimLeft =
      open >= 0 && source[open + 2] === "-" && trimmable.includes(source[open + 3] ?? "x");
    if (trimLeft) while (end > start && trimmable.includes(source[end - 1] ?? "x")) end--;
    if (end > start) this.#add("text", source.slice(start, end), start);
    if (open < 0) {
      this.#at = source.length;
      return;
    }
    this.#at = open + (trimLeft ? 3 : 2);
    const comment = /^[ \t\r\n]*\/\*/.exec(source.slice(this.#at));
    if (source.startsWith("/*", this.#at) || (trimLeft && comment !== null)) this.#comment();
    else this.#action(open);
  }

  #comment(): void {
    const close = this.#source.indexOf("*/", this.#at);
    if (close < 0) this.#fail("unclosed comment");
    this.#at = close + 2;
    const end = /^(?:[ \t\r\n]+-)?\}\}/.exec(this.#source.slice(this.#at));
    if (end === null) this.#fail("comment ends before closing delimiter");
    this.#at += end[0].length;
    if (end[0].length > 2) this.#skipWhite();
  }

  #skipWhite(): void {
    while (trimmable.includes(this.#source[this.#at] ?? "x")) this.#at++;
  }

  #action(open: number): void {
    this.#add("open", "{{", open);
    let parentheses = 0;
    for (;;) {
      const source = this.#source;
      const rest = source.slice(this.#at, this.#at + 4);
      const trimmed = /^[ \t\r\n]-\}\}/.test(rest);
      if (trimmed || rest.startsWith("}}")) {
        if (parentheses > 0) this.#fail("unclosed left paren");
        this.#add("close", "}}", this.#at);
        this.#at += trimmed ? 4 : 2;
        if (trimmed) this.#skipWhite();
        return;
      }
      if (this.#at >= source.length) this.#fail("unclosed action", open);
      const kind = this.#token();
      if (kind === "(") parentheses++;
      if (kind === ")" && --parentheses < 0) this.#fail("unexpected right paren");
    }
  }

  /** One token inside an action. */
  #token(): TokenKind {
    const source = this.#source;
    const at = this.#at;
    const take = (kind: TokenKind, length: number, text = source.slice(at, at + length)) => {
      this.#add(kind, text, at);
      this.#at = at + length;
      return kind;
    };
    const rest = source.slice(at);
    const space = /^[ \t\r\n]+/.exec(rest);
    if (space !== null) {
      // The blank before a trimming close belongs to it.
      const length = /^-\}\}/.test(rest.slice(space[0].length))
        ? space[0].length - 1
        : space[0].length;
      if (length > 0) return take("space", length);
    }
    if (rest.startsWith(":=")) return take(":=", 2);
    const single = rest[0] ?? "";
    if ("()|,=".includes(single)) return take(single as TokenKind, 1);
    if (single === '"') return this.#quoted();
    if (single === "`") {
      const close = source.indexOf("`", at + 1);
      if (close < 0) this.#fail("unterminated raw quoted string");
      return take("string", close + 1 - at, source.slice(at + 1, close));
    }
    if (single === "'") {
      const char = /^'(?:\\.[^']*|[^'\\])'/u.exec(rest);
      if (char === null) this.#fail("unterminated character constant");
      return take("char", char[0].length);
    }
    const number =
      /^[+-]?(?:0[xX][0-9a-fA-F_]+(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?\d+)?|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)i?/.exec(
        rest,
      );
    if (number !== null && (single !== "." || /\d/.test(rest[1] ?? ""))) {
      if (/^[\p{L}\p{N}_]/u.test(rest.slice(number[0].length))) {
        this.#fail(`bad number syntax: "${rest.slice(0, number[0].length + 1)}"`);
      }
      return take("number", number[0].length);
    }
    const word = /^(\.|\$)?[\p{L}_][\p{L}\p{N}_]*/u.exec(rest);
    if (word !== null) return this.#word(word[0], take);
    if (single === "$") return take("variable", 1);
    if (single === ".") return take("dot", 1);
    const code = rest.codePointAt(0) ?? 0;
    if ("&!<>*/%^;:?@#~[]{}\\".includes(single) && single !== "{")
      this.#fail(badCharacter(rest, code));
    this.#fail(badCharacter(rest, code));
  }

  #word(word: string, take: (kind: TokenKind, length: number) => TokenKind): TokenKind {
    const after = this.#source[this.#at + word.length] ?? "";
    if (after !== "" && !/[ \t\r\n.,|:=)(}]/.test(after) && !(after === "-")) {
      const code = this.#source.codePointAt(this.#at + word.length) ?? 0;
      this.#fail(
        `bad character U+${code.toString(16).toUpperCase().padStart(4, "0")} '${String.fromCodePoint(code)}'`,
      );
    }
    if (after === "-") this.#fail("bad character U+002D '-'");
    if (word.startsWith(".")) return take("field", word.length);
    if (word.startsWith("$")) return take("variable", word.length);
    if (word === "true" || word === "false") return take("bool", word.length);
    if (word === "nil") return take("nil", word.length);
    return take("identifier", word.length);
  }

  #quoted(): TokenKind {
    const source = this.#source;
    const at = this.#at;
    let end = at + 1;
    while (source[end] !== '"') {
      if (end >= source.length || source[end] === "\n") this.#fail("unterminated quoted string");
      end += source[end] === "\\" ? 2 : 1;
    }
    const value = unquoteGo(source.slice(at + 1, end));
    if (value === undefined) this.#fail("invalid syntax");
    this.#add("string", value, at);
    this.#at = end + 1;
    return "string";
  }
}

function badCharacter(rest: string, code: number): string {
  const character = String.fromCodePoint(code);
  if ("&<>!*/%^;:?@#~".includes(character)) {
    return `unexpected "${character}" in operand`;
  }
  return `unrecognized character in action: U+${code.toString(16).toUpperCase().padStart(4, "0")} '${rest.slice(0, character.length)}'`;
}

export function lex(source: string): Token[] {
  return new Lexer(source).lex();
}
