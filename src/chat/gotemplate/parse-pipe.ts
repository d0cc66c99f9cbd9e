/** Pipelines of a template: declarations, commands and operands. */
import type { Cursor } from "./cursor.ts";
import type { Token, TokenKind } from "./lex.ts";
import { readCharacter, readComplex, readNumber, unquote } from "./literals.ts";
import type { Command, Expression, Pipe, Place } from "./tree.ts";

/** Most variables at one place: looking one up costs its depth. */
const mostVariables = 1000;

/** Deepest nesting of actions and parentheses: a hostile template must not exhaust the stack. */
export const deepest = 500;

const operandKinds: ReadonlySet<TokenKind> = new Set<TokenKind>([
  "bool",
  "char",
  "complex",
  "dot",
  "field",
  "identifier",
  "number",
  "nil",
  "string",
  "variable",
  "(",
]);

export class PipeParser {
  readonly #cursor: Cursor;
  readonly #functions: ReadonlySet<string>;
  /** Names that may be used here. */
  variables: string[] = ["$"];
  depth = 0;

  constructor(cursor: Cursor, functions: ReadonlySet<string>) {
    this.#cursor = cursor;
    this.#functions = functions;
  }

  /** A pipeline up to `end`, which is taken. What it declares stays known. */
  pipe(context: string, end: "close" | ")"): Pipe {
    const cursor = this.#cursor;
    const first = cursor.peekSolid();
    const { declares, assigns } = this.#declarations(context);
    const commands: Command[] = [];
    for (;;) {
      const token = cursor.peekSolid();
      if (token.kind === end) break;
      if (!operandKinds.has(token.kind)) {
        cursor.next();
        cursor.unexpected(token, context);
      }
      commands.push(this.#command());
    }
    const pipe = { declares, assigns, commands, ...this.#place(first) };
    cursor.next();
    this.#check(pipe, context);
    return pipe;
  }

  #place(first: Token): Place {
    const { line, at } = first;
    return { line, at, source: this.#cursor.sourceFrom(at) };
  }

  /** Values that take nothing from the stage before may stand first only. */
  #check({ commands }: Pipe, context: string): void {
    if (commands.length === 0) this.#cursor.fail(`missing value for ${context}`);
    for (const [index, { operands }] of commands.entries()) {
      const kind = operands[0]?.kind;
      if (index > 0 && (kind === "literal" || kind === "nil" || kind === "dot")) {
        this.#cursor.fail(`non executable command in pipeline stage ${index + 1}`);
      }
    }
  }

  #declarations(context: string): { declares: string[]; assigns: boolean } {
    const cursor = this.#cursor;
    const declares: string[] = [];
    for (;;) {
      const start = cursor.at;
      const variable = cursor.peekSolid();
      if (variable.kind !== "variable") return { declares, assigns: false };
      cursor.next();
      const next = cursor.peekSolid();
      if (next.kind === ":=" || next.kind === "=") {
        cursor.next();
        declares.push(variable.text);
        this.#declare(variable.text);
        return { declares, assigns: next.kind === "=" };
      }
      if (next.kind !== "sign" || next.text !== ",") {
        cursor.at = start;
        return { declares, assigns: false };
      }
      cursor.next();
      declares.push(variable.text);
      this.#declare(variable.text);
      if (context !== "range" || declares.length >= 2) {
        cursor.fail(`too many declarations in ${context}`);
      }
      const after = cursor.peekSolid().kind;
      if (after !== "variable" && after !== "close" && after !== ")") {
        cursor.fail("range can only initialize variables");
      }
    }
  }

  #declare(name: string): void {
    if (this.variables.length >= mostVariables) this.#cursor.fail("too many variables");
    this.variables.push(name);
  }

  #command(): Command {
    const cursor = this.#cursor;
    const first = cursor.peekSolid();
    const operands: Expression[] = [];
    for (;;) {
      cursor.peekSolid();
      const operand = this.#operand();
      if (operand !== undefined) operands.push(operand);
      const token = cursor.peek();
      if (token.kind === "space") {
        cursor.next();
        continue;
      }
      if (token.kind === "close" || token.kind === ")" || token.kind === "|") break;
      cursor.next();
      cursor.unexpected(token, "operand");
    }
    if (operands.length === 0) {
      cursor.next();
      cursor.fail("empty command");
    }
    const command = { operands, ...this.#place(first) };
    if (cursor.peek().kind === "|") cursor.next();
    return command;
  }

  #operand(): Expression | undefined {
    const cursor = this.#cursor;
    const first = cursor.peek();
    const term = this.#term();
    if (term === undefined || cursor.peek().kind !== "field") return term;
    const at = cursor.peek().at;
    const fields: string[] = [];
    while (cursor.peek().kind === "field") fields.push(cursor.next().text.slice(1));
    const place = { line: first.line, at, source: cursor.sourceFrom(first.at) };
    switch (term.kind) {
      case "field":
        return { kind: "field", names: [...term.names, ...fields], ...place };
      case "variable":
        return { kind: "variable", name: term.name, fields, ...place };
      case "literal":
      case "nil":
      case "dot":
        return cursor.fail(`unexpected . after term ${JSON.stringify(term.source)}`);
      default:
        return { kind: "chain", inner: term, fields, ...place };
    }
  }

  #term(): Expression | undefined {
    const cursor = this.#cursor;
    const token = cursor.peekSolid();
    if (!operandKinds.has(token.kind)) return undefined;
    cursor.next();
    const { line, at, text } = token;
    const place = { line, at, source: text };
    switch (token.kind) {
      case "identifier":
        if (!this.#functions.has(text)) cursor.fail(`function "${text}" not defined`);
        return { kind: "function", name: text, ...place };
      case "dot":
      case "nil":
        return { kind: token.kind, ...place };
      case "variable":
        if (!this.variables.includes(text)) cursor.fail(`undefined variable "${text}"`);
        return { kind: "variable", name: text, fields: [], ...place };
      case "field":
        return { kind: "field", names: [text.slice(1)], ...place };
      case "(":
        return this.#parenthesis(token);
      default:
        return { kind: "literal", value: this.#value(token), ...place };
    }
  }

  #parenthesis(token: Token): Expression {
    if (++this.depth > deepest) this.#cursor.fail("max expression depth exceeded");
    const pipe = this.pipe("parenthesized pipeline", ")");
    this.depth--;
    return { kind: "pipe", pipe, ...this.#place(token) };
  }

  #value({ kind, text }: Token): unknown {
    if (kind === "bool") return text === "true";
    if (kind === "string") return unquote(text) ?? this.#cursor.fail("invalid syntax");
    if (kind === "char") {
      return readCharacter(text) ?? this.#cursor.fail(`malformed character constant: ${text}`);
    }
    try {
      return kind === "complex" ? readComplex(text) : readNumber(text);
    } catch (error) {
      return this.#cursor.fail(error instanceof Error ? error.message : String(error));
    }
  }
}
