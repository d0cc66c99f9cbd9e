/** The parser: tokens → tree. Variables and functions are checked here, as Go does. */
import { lex, parseError, type Token, type TokenKind, unquoteGo } from "./lex.ts";
import { Int } from "./values.ts";

export interface Place {
  readonly line: number;
  /** Source text of the node, for errors. */
  readonly source: string;
}

export type Expression = Place &
  (
    | { readonly kind: "literal"; readonly value: unknown }
    | { readonly kind: "nil" }
    | { readonly kind: "dot" }
    | { readonly kind: "field"; readonly names: readonly string[] }
    | { readonly kind: "variable"; readonly name: string; readonly fields: readonly string[] }
    | { readonly kind: "function"; readonly name: string }
    | { readonly kind: "pipe"; readonly pipe: Pipe }
    | { readonly kind: "chain"; readonly inner: Expression; readonly fields: readonly string[] }
  );

export interface Command extends Place {
  readonly operands: readonly Expression[];
}

export interface Pipe extends Place {
  readonly declares: readonly string[];
  /** `=` instead of `:=`. */
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

export type Node = Place &
  (
    | { readonly kind: "text"; readonly text: string }
    | { readonly kind: "action"; readonly pipe: Pipe }
    | {
        readonly kind: "if" | "with" | "range";
        readonly pipe: Pipe;
        readonly body: readonly Node[];
        readonly otherwise: readonly Node[];
      }
    | { readonly kind: "break" | "continue" }
    | { readonly kind: "template"; readonly name: string; readonly pipe: Pipe | undefined }
  );

export interface Tree {
  readonly root: readonly Node[];
  readonly defined: ReadonlyMap<string, readonly Node[]>;
}

/** Deepest nesting of actions and parentheses: a hostile template must not exhaust the stack. */
const deepest = 200;

const keywords = new Set([
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

class Parser {
  readonly #source: string;
  readonly #functions: ReadonlySet<string>;
  readonly #tokens: readonly Token[];
  readonly defined = new Map<string, readonly Node[]>();
  #at = 0;
  #variables: string[] = ["$"];
  #ranges = 0;
  #depth = 0;

  constructor(source: string, functions: ReadonlySet<string>) {
    this.#source = source;
    this.#functions = functions;
    this.#tokens = lex(source);
  }

  parse(): Tree {
    const { nodes, end } = this.#list("");
    if (end !== undefined) throw parseError(this.#line(), `unexpected {{${end}}}`);
    return { root: nodes, defined: this.defined };
  }

  // --- tokens ----------------------------------------------------------------------------------

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #next(): Token | undefined {
    return this.#tokens[this.#at++];
  }

  #line(): number {
    return (this.#peek() ?? this.#tokens.at(-1))?.line ?? 1;
  }

  #skipSpace(): void {
    while (this.#peek()?.kind === "space") this.#at++;
  }

  #sourceFrom(token: Token | undefined): string {
    const end = this.#tokens[this.#at]?.at ?? this.#source.length;
    return this.#source.slice(token?.at ?? 0, end).trim();
  }

  #unexpected(token: Token | undefined, context: string): never {
    const line = token?.line ?? this.#line();
    if (token === undefined) throw parseError(line, "unexpected EOF");
    const shown =
      token.kind === "close"
        ? '"}}"'
        : token.kind === "identifier" && keywords.has(token.text)
          ? `<${token.text}>`
          : JSON.stringify(token.text);
    throw parseError(line, `unexpected ${shown} in ${context}`);
  }

  // --- lists and control -----------------------------------------------------------------------

  /** Nodes up to `{{end}}` or `{{else}}`, which is returned consumed up to its word. */
  #list(context: string): { nodes: Node[]; end: "end" | "else" | undefined } {
    const nodes: Node[] = [];
    for (;;) {
      const token = this.#next();
      if (token === undefined) {
        if (context !== "") throw parseError(this.#line(), "unexpected EOF");
        return { nodes, end: undefined };
      }
      if (token.kind === "text") {
        nodes.push({ kind: "text", text: token.text, line: token.line, source: token.text });
        continue;
      }
      this.#skipSpace();
      const word = this.#peek();
      if (word?.kind === "identifier" && (word.text === "end" || word.text === "else")) {
        this.#at++;
        return { nodes, end: word.text };
      }
      const node = this.#action(token);
      if (node !== undefined) nodes.push(node);
    }
  }

  #close(context: string): void {
    this.#skipSpace();
    const token = this.#next();
    if (token?.kind !== "close") this.#unexpected(token, context);
  }

  #action(open: Token): Node | undefined {
    if (++this.#depth > deepest) throw parseError(open.line, "max depth exceeded");
    try {
      const word = this.#peek();
      if (word?.kind === "identifier" && keywords.has(word.text)) return this.#control(word);
      // A declaration lasts to the end of the enclosing list.
      const pipe = this.#pipe("command", "close");
      return { kind: "action", pipe, line: open.line, source: pipe.source };
    } finally {
      this.#depth--;
    }
  }

  #control(word: Token): Node | undefined {
    this.#at++;
    const place = { line: word.line, source: word.text };
    switch (word.text) {
      case "if":
      case "with":
      case "range":
        return this.#branch(word.text, word);
      case "break":
      case "continue":
        if (this.#ranges === 0) throw parseError(word.line, `{{${word.text}}} outside {{range}}`);
        this.#close(word.text);
        return { kind: word.text, ...place };
      case "define":
        this.#define();
        return undefined;
      case "block":
        return this.#block(place);
      case "template":
        return this.#template(place);
      default:
        return this.#unexpected(word, "command");
    }
  }

  #branch(kind: "if" | "with" | "range", word: Token): Node {
    const scope = this.#variables.length;
    const pipe = this.#pipe(kind, "close");
    if (kind === "range") this.#ranges++;
    const inner = this.#variables.length;
    const body = this.#list(kind);
    this.#variables.length = inner;
    if (kind === "range") this.#ranges--;
    let otherwise: Node[] = [];
    if (body.end === "else") otherwise = this.#otherwise(kind);
    else this.#close("end");
    this.#variables.length = scope;
    return { kind, pipe, body: body.nodes, otherwise, line: word.line, source: pipe.source };
  }

  #otherwise(kind: "if" | "with" | "range"): Node[] {
    this.#skipSpace();
    const word = this.#peek();
    if (word?.kind === "identifier" && word.text === kind && kind !== "range") {
      this.#at++;
      return [this.#branch(kind, word)];
    }
    this.#close("else");
    const rest = this.#list(kind);
    if (rest.end === "else") throw parseError(this.#line(), "expected end; found {{else}}");
    this.#close("end");
    return rest.nodes;
  }

  #name(context: string): string {
    this.#skipSpace();
    const token = this.#next();
    if (token?.kind !== "string") return this.#unexpected(token, context);
    return token.text;
  }

  #body(name: string): void {
    const outer = this.#variables;
    const ranges = this.#ranges;
    this.#variables = ["$"];
    this.#ranges = 0;
    const { nodes, end } = this.#list("define clause");
    if (end !== "end") throw parseError(this.#line(), "unexpected {{else}} in define clause");
    this.#close("end");
    this.#variables = outer;
    this.#ranges = ranges;
    this.defined.set(name, nodes);
  }

  #define(): void {
    const name = this.#name("define clause");
    this.#close("define clause");
    this.#body(name);
  }

  #block(place: Place): Node {
    const name = this.#name("block clause");
    const pipe = this.#pipe("block clause", "close");
    this.#body(name);
    return { kind: "template", name, pipe, ...place };
  }

  #template(place: Place): Node {
    const name = this.#name("template clause");
    this.#skipSpace();
    if (this.#peek()?.kind === "close") {
      this.#at++;
      return { kind: "template", name, pipe: undefined, ...place };
    }
    return { kind: "template", name, pipe: this.#pipe("template clause", "close"), ...place };
  }

  // --- pipelines -------------------------------------------------------------------------------

  #pipe(context: string, end: TokenKind): Pipe {
    this.#skipSpace();
    const first = this.#peek();
    const { declares, assigns } = this.#declaration(context);
    const commands: Command[] = [];
    for (;;) {
      this.#skipSpace();
      const token = this.#peek();
      if (token === undefined) this.#unexpected(token, context);
      if (token.kind === end) {
        const pipe = {
          declares,
          assigns,
          commands,
          line: first?.line ?? 1,
          source: this.#sourceFrom(first),
        };
        this.#at++;
        if (commands.length === 0) throw parseError(token.line, `missing value for ${context}`);
        checkPipeline(pipe);
        if (!assigns) this.#variables.push(...declares);
        return pipe;
      }
      commands.push(this.#command(context));
    }
  }

  #declaration(context: string): { declares: string[]; assigns: boolean } {
    const start = this.#at;
    const names: string[] = [];
    for (;;) {
      this.#skipSpace();
      const token = this.#peek();
      if (token?.kind !== "variable") break;
      this.#at++;
      this.#skipSpace();
      const next = this.#peek();
      names.push(token.text);
      if (next?.kind === ":=" || next?.kind === "=") {
        this.#at++;
        if (next.kind === "=") {
          for (const name of names) this.#checkVariable(name, token.line);
        }
        if (names.length > (context === "range" ? 2 : 1)) {
          throw parseError(token.line, `too many declarations in ${context}`);
        }
        return { declares: names, assigns: next.kind === "=" };
      }
      if (next?.kind === "," && context === "range" && names.length < 2) {
        this.#at++;
        continue;
      }
      break;
    }
    this.#at = start;
    return { declares: [], assigns: false };
  }

  #checkVariable(name: string, line: number): void {
    if (!this.#variables.includes(name)) throw parseError(line, `undefined variable "${name}"`);
  }

  #command(context: string): Command {
    const first = this.#peek();
    const operands: Expression[] = [];
    for (;;) {
      this.#skipSpace();
      const operand = this.#operand();
      if (operand !== undefined) operands.push(operand);
      const token = this.#peek();
      if (token?.kind === "space") continue;
      if (token === undefined || token.kind === "close" || token.kind === ")") break;
      if (token.kind === "|") {
        this.#at++;
        break;
      }
      this.#unexpected(token, operand === undefined ? context : "operand");
    }
    if (operands.length === 0) throw parseError(first?.line ?? 1, "empty command");
    return {
      operands,
      line: first?.line ?? 1,
      source: this.#sourceFrom(first).replace(/\s*\|$/, ""),
    };
  }

  #operand(): Expression | undefined {
    const first = this.#peek();
    const term = this.#term();
    if (term === undefined) return undefined;
    const fields: string[] = [];
    while (this.#peek()?.kind === "field") fields.push((this.#next()?.text ?? "").slice(1));
    if (fields.length === 0) return term;
    const place = { line: term.line, source: this.#sourceFrom(first) };
    switch (term.kind) {
      case "field":
        return { kind: "field", names: [...term.names, ...fields], ...place };
      case "variable":
        return { kind: "variable", name: term.name, fields, ...place };
      case "literal":
      case "nil":
        throw parseError(term.line, `unexpected . after term ${JSON.stringify(term.source)}`);
      case "dot":
        throw parseError(term.line, 'unexpected . after term "."');
      default:
        return { kind: "chain", inner: term, fields, ...place };
    }
  }

  #term(): Expression | undefined {
    const token = this.#peek();
    if (token === undefined) return undefined;
    const place = { line: token.line, source: token.text };
    switch (token.kind) {
      case "identifier":
        if (!this.#functions.has(token.text)) {
          throw parseError(token.line, `function "${token.text}" not defined`);
        }
        this.#at++;
        return { kind: "function", name: token.text, ...place };
      case "dot":
        this.#at++;
        return { kind: "dot", ...place };
      case "nil":
        this.#at++;
        return { kind: "nil", ...place };
      case "variable":
        this.#checkVariable(token.text, token.line);
        this.#at++;
        return { kind: "variable", name: token.text, fields: [], ...place };
      case "field":
        this.#at++;
        return { kind: "field", names: [token.text.slice(1)], ...place };
      case "bool":
        this.#at++;
        return { kind: "literal", value: token.text === "true", ...place };
      case "number":
      case "char":
        this.#at++;
        return { kind: "literal", value: numberValue(token), ...place };
      case "string":
        this.#at++;
        return {
          kind: "literal",
          value: token.text,
          line: token.line,
          source: this.#sourceFrom(token),
        };
      case "(": {
        if (++this.#depth > deepest) throw parseError(token.line, "max expression depth exceeded");
        this.#at++;
        const pipe = this.#pipe("parenthesized pipeline", ")");
        this.#depth--;
        return { kind: "pipe", pipe, line: token.line, source: this.#sourceFrom(token) };
      }
      default:
        return undefined;
    }
  }
}

/** Values that take nothing from the stage before may stand first only. */
function checkPipeline({ commands }: Pipe): void {
  for (const [index, { operands, line }] of commands.entries()) {
    const first = operands[0];
    if (index > 0 && first !== undefined && ["literal", "nil", "dot"].includes(first.kind)) {
      throw parseError(line, `non executable command in pipeline stage ${index + 1}`);
    }
  }
}

/** A Go constant: whole numbers are ints, everything with a point or exponent a float. */
function numberValue(token: Token): Int | number {
  if (token.kind === "char") {
    const text = unquoteGo(token.text.slice(1, -1));
    if (text === undefined || [...text].length !== 1) {
      throw parseError(token.line, `malformed character constant: ${token.text}`);
    }
    return new Int(text.codePointAt(0) ?? 0);
  }
  const text = token.text.replaceAll("_", "");
  if (text.endsWith("i")) throw parseError(token.line, `bad number syntax: "${token.text}"`);
  const unsigned = text.replace(/^[+-]/, "");
  const sign = text.startsWith("-") ? -1 : 1;
  if (/^0[xX].*[pP.]/.test(unsigned)) {
    const [mantissa = "", exponent = "0"] = unsigned.slice(2).split(/[pP]/);
    const [whole = "", fraction = ""] = mantissa.split(".");
    return (
      sign *
      Number.parseInt(whole + fraction || "0", 16) *
      2 ** (Number(exponent) - 4 * fraction.length)
    );
  }
  if (/^0[xXbBoO]/.test(unsigned)) return new Int(sign * Number(unsigned));
  if (/[.eE]/.test(unsigned)) return Number(text);
  if (/^0\d/.test(unsigned)) return new Int(sign * Number.parseInt(unsigned, 8));
  const value = BigInt(unsigned) * BigInt(sign);
  if (BigInt.asIntN(64, value) !== value)
    throw parseError(token.line, `integer overflow: "${token.text}"`);
  return new Int(Number(value));
}

export function parse(source: string, functions: ReadonlySet<string>): Tree {
  return new Parser(source, functions).parse();
}
