/**
 * Text and actions of a template, and the tokens inside actions, by Go's rules. White space next to
 * trimming marks is dropped here. The first error ends the tokens; the parser reports it when it gets
 * there, so that an earlier mistake of grammar is told first, as in Go.
 */

export type TokenKind =
  | "text"
  | "open"
  | "close"
  | "field"
  | "variable"
  | "identifier"
  | "keyword"
  | "dot"
  | "nil"
  | "bool"
  | "number"
  | "complex"
  | "char"
  | "string"
  | "("
  | ")"
  | "|"
  | ":="
  | "="
  | "sign"
  | "space"
  | "error"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  /** Source text; for errors the reason. */
  readonly text: string;
  /** Counts from 1. */
  readonly line: number;
  /** Offset in UTF-16 units. */
  readonly at: number;
}

const keywords: ReadonlySet<string> = new Set([
  "block",
  "break",
  "continue",
  "define",
  "else",
  "end",
  "if",
  "range",
  "template",
  "with",
]);

const spaces = /[ \t\r\n]+/y;
const trimmedClose = /[ \t\r\n]-\}\}/y;
const trimmedOpen = /-[ \t\r\n]/y;
const word = /[\p{L}\p{Nd}_]*/uy;
const terminator = /[ \t\r\n.,|:)(]|\}\}|$/y;
const number =
  /[+-]?(?:0[xX][\da-fA-F_]*(?:\.[\da-fA-F_]*)?(?:[pP][+-]?[\d_]*)?|0[oO][0-7_]*\.?[0-7_]*|0[bB][01_]*\.?[01_]*|[\d_]*\.?[\d_]*(?:[eE][+-]?[\d_]*)?)i?/y;
const quoted = /"(?:[^"\\\n]|\\[^\n])*"/y;
const character = /'(?:[^'\\\n]|\\[^\n])*'/y;
const raw = /`[^`]*`/y;

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** Where the line that was counted last ends. */
  #lineEnd: number;
  #failed = false;

  constructor(source: string) {
    this.#source = source;
    this.#lineEnd = this.#endOfLine(0);
  }

  #endOfLine(from: number): number {
    const at = this.#source.indexOf("\n", from);
    return at < 0 ? this.#source.length : at;
  }

  lex(): Token[] {
    while (this.#at < this.#source.length && !this.#failed) this.#textAndAction();
    if (!this.#failed) this.#add("end", "EOF", this.#source.length);
    return this.#tokens;
  }

  /** Tokens come in order, so that lines are counted once. */
  #add(kind: TokenKind, text: string, at: number): void {
    while (this.#lineEnd < at) {
      this.#line++;
      this.#lineEnd = this.#endOfLine(this.#lineEnd + 1);
    }
    this.#tokens.push({ kind, text, at, line: this.#line });
  }

  #fail(reason: string, at = this.#at): void {
    this.#add("error", reason, at);
    this.#failed = true;
  }

  /** What `pattern` (sticky) finds here. */
  #match(pattern: RegExp, at = this.#at): string | undefined {
    pattern.lastIndex = at;
    return pattern.exec(this.#source)?.[0];
  }

  #textAndAction(): void {
    const source = this.#source;
    const start = this.#at;
    const open = source.indexOf("{{", start);
    const trims = open >= 0 && this.#match(trimmedOpen, open + 2) !== undefined;
    const text = source.slice(start, open < 0 ? undefined : open);
    const kept = trims ? withoutSpaceAtEnd(text) : text;
    if (kept !== "") this.#add("text", kept, start);
    if (open < 0) {
      this.#at = source.length;
      return;
    }
    const inside = open + (trims ? 4 : 2);
    if (source.startsWith("/*", inside)) this.#comment(inside);
    else {
      this.#add("open", "{{", open);
      this.#at = inside;
      this.#action();
    }
  }

  #comment(at: number): void {
    const close = this.#source.indexOf("*/", at + 2);
    if (close < 0) {
      this.#fail("unclosed comment", at);
      return;
    }
    this.#at = close + 2;
    const trims = this.#match(trimmedClose) !== undefined;
    if (!trims && !this.#source.startsWith("}}", this.#at)) {
      this.#fail("comment ends before closing delimiter", at);
      return;
    }
    this.#at += trims ? 4 : 2;
    if (trims) this.#at += this.#match(spaces)?.length ?? 0;
  }

  #action(): void {
    let parentheses = 0;
    while (!this.#failed) {
      const trims = this.#match(trimmedClose) !== undefined;
      if (trims || this.#source.startsWith("}}", this.#at)) {
        if (parentheses > 0) this.#fail("unclosed left paren");
        else this.#close(trims);
        return;
      }
      if (this.#source[this.#at] === ")" && parentheses === 0) {
        this.#fail("unexpected right paren");
        return;
      }
      const kind = this.#token();
      parentheses += kind === "(" ? 1 : kind === ")" ? -1 : 0;
    }
  }

  #close(trims: boolean): void {
    this.#at += trims ? 2 : 0;
    this.#add("close", "}}", this.#at);
    this.#at += 2;
    if (trims) this.#at += this.#match(spaces)?.length ?? 0;
  }

  #take(kind: TokenKind, text: string): TokenKind {
    this.#add(kind, text, this.#at);
    this.#at += text.length;
    return kind;
  }

  /** One token inside an action; undefined after an error. */
  #token(): TokenKind | undefined {
    const source = this.#source;
    const next = source[this.#at];
    if (next === undefined) {
      this.#fail("unclosed action");
      return undefined;
    }
    if (" \t\r\n".includes(next)) return this.#space();
    if (next === "=" || next === "|" || next === "(" || next === ")") return this.#take(next, next);
    if (next === ":") {
      if (source.startsWith(":=", this.#at)) return this.#take(":=", ":=");
      this.#fail("expected :=");
      return undefined;
    }
    if (next === '"') return this.#literal("string", quoted, "unterminated quoted string");
    if (next === "`") return this.#literal("string", raw, "unterminated raw quoted string");
    if (next === "'") return this.#literal("char", character, "unterminated character constant");
    if (next === "$") return this.#name("variable");
    if (next === "." && !/\d/.test(source[this.#at + 1] ?? "")) return this.#name("field");
    if (/[\d.+-]/.test(next)) return this.#number();
    return this.#word();
  }

  /** White space; the one before a trimming close belongs to that. */
  #space(): TokenKind {
    const space = this.#match(spaces) ?? "";
    const trims = this.#source.startsWith("-}}", this.#at + space.length);
    return this.#take("space", trims ? space.slice(0, -1) : space);
  }

  #literal(kind: TokenKind, pattern: RegExp, reason: string): TokenKind | undefined {
    const text = this.#match(pattern);
    if (text !== undefined) return this.#take(kind, text);
    this.#fail(reason);
    return undefined;
  }

  /** `.Name` and `$name`; alone they are the dot and the root. */
  #name(kind: "field" | "variable"): TokenKind | undefined {
    const text = `${this.#source[this.#at]}${this.#match(word, this.#at + 1) ?? ""}`;
    if (!this.#endsAt(this.#at + text.length)) return undefined;
    return this.#take(text === "." ? "dot" : kind, text);
  }

  #word(): TokenKind | undefined {
    const text = this.#match(word) ?? "";
    if (text === "") return this.#sign();
    if (!this.#endsAt(this.#at + text.length)) return undefined;
    if (keywords.has(text)) return this.#take("keyword", text);
    if (text === "true" || text === "false") return this.#take("bool", text);
    return this.#take(text === "nil" ? "nil" : "identifier", text);
  }

  /** Whether a word may end at `at`; else the error is noted. */
  #endsAt(at: number): boolean {
    if (this.#match(terminator, at) !== undefined) return true;
    this.#fail(`bad character ${shown(this.#source.codePointAt(at) ?? 0)}`);
    return false;
  }

  #sign(): TokenKind | undefined {
    const code = this.#source.codePointAt(this.#at) ?? 0;
    if (code > 0x20 && code < 0x7f) return this.#take("sign", String.fromCodePoint(code));
    this.#fail(`unrecognized character in action: ${shown(code)}`);
    return undefined;
  }

  #number(): TokenKind | undefined {
    const first = this.#match(number) ?? "";
    let text = first;
    if (/[+-]/.test(this.#source[this.#at + first.length] ?? "")) {
      text += this.#match(number, this.#at + first.length) ?? "";
    }
    const after = this.#match(word, this.#at + text.length) ?? "";
    if (after !== "" || (text !== first && !text.endsWith("i"))) {
      this.#fail(`bad number syntax: ${JSON.stringify(text + after.slice(0, 1))}`);
      return undefined;
    }
    return this.#take(text === first ? "number" : "complex", text);
  }
}

function withoutSpaceAtEnd(text: string): string {
  let end = text.length;
  while (end > 0 && " \t\r\n".includes(text[end - 1] ?? "")) end--;
  return text.slice(0, end);
}

/** A character as Go's `%#U` shows it. */
function shown(code: number): string {
  const hex = code.toString(16).toUpperCase().padStart(4, "0");
  return `U+${hex} '${String.fromCodePoint(code)}'`;
}

/** The tokens, ending in `end` or `error`. */
export function lex(source: string): readonly Token[] {
  return new Lexer(source).lex();
}
