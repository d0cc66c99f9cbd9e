/** A reader of tokens with steps back, and the parser's errors. */
import { TemplateError } from "./errors.ts";
import { lex, type Token, type TokenKind } from "./lex.ts";

export class Cursor {
  readonly source: string;
  readonly #tokens: readonly Token[];
  /** Index of the next token. */
  at = 0;
  /** Index of the last token that was looked at: errors name its line, as in Go. */
  #seen = 0;

  constructor(source: string) {
    this.source = source;
    this.#tokens = lex(source);
  }

  peek(): Token {
    const last = this.#tokens.length - 1;
    this.#seen = Math.max(this.#seen, Math.min(this.at, last));
    return this.#tokens[Math.min(this.at, last)] as Token;
  }

  next(): Token {
    const token = this.peek();
    this.at++;
    return token;
  }

  /** The next token that is no white space, not taken. */
  peekSolid(): Token {
    while (this.peek().kind === "space") this.at++;
    return this.peek();
  }

  nextSolid(): Token {
    const token = this.peekSolid();
    this.at++;
    return token;
  }

  expect(kind: TokenKind, context: string): Token {
    const token = this.nextSolid();
    if (token.kind !== kind) this.unexpected(token, context);
    return token;
  }

  /** Source from `start` up to the next token, without a trimming mark. */
  sourceFrom(start: number): string {
    const source = this.source.slice(start, this.peek().at);
    return source.replace(/\s-$/, "").trimEnd();
  }

  fail(reason: string): never {
    const line = this.#tokens[this.#seen]?.line ?? 1;
    throw new TemplateError(`template: :${line}: ${reason}`, "parse", line);
  }

  unexpected(token: Token, context: string): never {
    if (token.kind === "error") this.fail(token.text);
    this.fail(`unexpected ${shown(token)} in ${context}`);
  }
}

function shown(token: Token): string {
  if (token.kind === "end") return "EOF";
  if (["keyword", "dot", "nil"].includes(token.kind)) return `<${token.text}>`;
  const long = [...token.text].length > 10;
  return long
    ? `${JSON.stringify([...token.text].slice(0, 10).join(""))}...`
    : JSON.stringify(token.text);
}
