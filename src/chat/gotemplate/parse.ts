/** The parser: tokens → tree. Variables and functions are checked here, as Go does. */
import { Cursor } from "./cursor.ts";
import type { Token } from "./lex.ts";
import { unquote } from "./literals.ts";
import { deepest, PipeParser } from "./parse-pipe.ts";
import type { BranchNode, Node, Tree } from "./tree.ts";

/** How a list of nodes ended. */
type End = "end" | "else" | "else if" | "else with";

/** White space and comments only: such a definition gives way to another one. */
function isEmpty(nodes: readonly Node[]): boolean {
  return nodes.every((node) => node.kind === "text" && node.text.trim() === "");
}

class Parser {
  readonly #cursor: Cursor;
  readonly #pipes: PipeParser;
  readonly #defined = new Map<string, readonly Node[]>();
  #ranges = 0;

  constructor(source: string, functions: ReadonlySet<string>) {
    this.#cursor = new Cursor(source);
    this.#pipes = new PipeParser(this.#cursor, functions);
  }

  parse(): Tree {
    const cursor = this.#cursor;
    const root: Node[] = [];
    while (cursor.peek().kind !== "end") {
      if (this.#atDefine()) {
        this.#define();
        continue;
      }
      const node = this.#textOrAction();
      if (typeof node === "string") {
        return cursor.fail(`unexpected {{${node.split(" ")[0]}}}`);
      }
      root.push(node);
    }
    this.#add("", root);
    return { root: this.#defined.get("") ?? root, defined: this.#defined };
  }

  #atDefine(): boolean {
    const cursor = this.#cursor;
    if (cursor.peek().kind !== "open") return false;
    const start = cursor.at++;
    const word = cursor.nextSolid();
    if (word.kind === "keyword" && word.text === "define") return true;
    cursor.at = start;
    return false;
  }

  #add(name: string, nodes: readonly Node[]): void {
    const known = this.#defined.get(name);
    if (known === undefined || isEmpty(known)) this.#defined.set(name, nodes);
    else if (!isEmpty(nodes)) {
      this.#cursor.fail(`template: multiple definition of template ${JSON.stringify(name)}`);
    }
  }

  /** Nodes up to `{{end}}` or `{{else}}`, which is taken. */
  #list(): { nodes: Node[]; end: End } {
    const nodes: Node[] = [];
    while (this.#cursor.peekSolid().kind !== "end") {
      const node = this.#textOrAction();
      if (typeof node === "string") return { nodes, end: node };
      nodes.push(node);
    }
    return this.#cursor.fail("unexpected EOF");
  }

  #textOrAction(): Node | End {
    const token = this.#cursor.nextSolid();
    const { kind, text, line, at } = token;
    if (kind === "text") return { kind, text, line, at, source: text };
    if (kind !== "open") return this.#cursor.unexpected(token, "input");
    if (++this.#pipes.depth > deepest) this.#cursor.fail("max expression depth exceeded");
    const node = this.#action();
    this.#pipes.depth--;
    return node;
  }

  #action(): Node | End {
    const cursor = this.#cursor;
    const word = cursor.peekSolid();
    if (word.kind !== "keyword" || word.text === "define") {
      const pipe = this.#pipes.pipe("command", "close");
      return { kind: "action", pipe, line: pipe.line, at: pipe.at, source: pipe.source };
    }
    cursor.next();
    switch (word.text) {
      case "if":
      case "with":
      case "range":
        return this.#branch(word.text);
      case "end":
        cursor.expect("close", "end");
        return "end";
      case "else":
        return this.#else();
      case "block":
        return this.#block();
      case "template":
        return this.#template();
      default:
        return this.#leave(word);
    }
  }

  /** `{{else if …}}` and `{{else with …}}` are taken up to their word. */
  #else(): End {
    const cursor = this.#cursor;
    const { kind, text } = cursor.peekSolid();
    if (kind === "keyword" && (text === "if" || text === "with")) return `else ${text}`;
    cursor.expect("close", "else");
    return "else";
  }

  #leave(word: Token): Node {
    const { line, at, text } = word;
    const context = `{{${text}}}`;
    const close = this.#cursor.nextSolid();
    if (close.kind !== "close") this.#cursor.unexpected(close, context);
    if (this.#ranges === 0) this.#cursor.fail(`${context} outside {{range}}`);
    return { kind: text === "break" ? "break" : "continue", line, at, source: context };
  }

  #branch(kind: BranchNode["kind"]): BranchNode {
    const pipes = this.#pipes;
    const known = pipes.variables.length;
    const pipe = pipes.pipe(kind, "close");
    if (kind === "range") this.#ranges++;
    const body = this.#list();
    if (kind === "range") this.#ranges--;
    const otherwise = body.end === "end" ? [] : this.#otherwise(kind, body.end);
    pipes.variables.length = known;
    const { line, at, source } = pipe;
    return { kind, pipe, body: body.nodes, otherwise, line, at, source };
  }

  #otherwise(kind: BranchNode["kind"], end: End): Node[] {
    if (end === `else ${kind}` && kind !== "range") {
      // One `{{end}}` closes both.
      this.#cursor.nextSolid();
      if (++this.#pipes.depth > deepest) this.#cursor.fail("max expression depth exceeded");
      const branch = this.#branch(kind);
      this.#pipes.depth--;
      return [branch];
    }
    const { nodes, end: last } = this.#list();
    if (last !== "end") this.#cursor.fail("expected end; found {{else}}");
    return nodes;
  }

  #name(context: string): { name: string; token: Token } {
    const token = this.#cursor.nextSolid();
    if (token.kind !== "string") this.#cursor.unexpected(token, context);
    return { name: unquote(token.text) ?? this.#cursor.fail("invalid syntax"), token };
  }

  /** The nodes of a named template: it knows no variables from outside. */
  #body(name: string, context: string): void {
    const outer = { variables: this.#pipes.variables, ranges: this.#ranges };
    this.#pipes.variables = ["$"];
    this.#ranges = 0;
    const { nodes, end } = this.#list();
    if (end !== "end") this.#cursor.fail(`unexpected {{else}} in ${context}`);
    this.#add(name, nodes);
    this.#pipes.variables = outer.variables;
    this.#ranges = outer.ranges;
  }

  #define(): void {
    const context = "define clause";
    const { name } = this.#name(context);
    this.#cursor.expect("close", context);
    this.#body(name, context);
  }

  #block(): Node {
    const context = "block clause";
    const { name, token } = this.#name(context);
    const pipe = this.#pipes.pipe(context, "close");
    this.#body(name, context);
    const source = `{{template ${token.text} ${pipe.source}}}`;
    return { kind: "template", name, pipe, line: token.line, at: token.at, source };
  }

  #template(): Node {
    const context = "template clause";
    const { name, token } = this.#name(context);
    let pipe: ReturnType<PipeParser["pipe"]> | undefined;
    if (this.#cursor.peekSolid().kind === "close") this.#cursor.next();
    else pipe = this.#pipes.pipe(context, "close");
    const source = `{{template ${token.text}${pipe === undefined ? "" : ` ${pipe.source}`}}}`;
    return { kind: "template", name, pipe, line: token.line, at: token.at, source };
  }
}

/** @throws TemplateError with line and reason in Go's words */
export function parse(source: string, functions: ReadonlySet<string>): Tree {
  return new Parser(source, functions).parse();
}
