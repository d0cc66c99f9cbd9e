/** Go text/template as Ollama's templates use it: parse once, render many times. */
import { wellFormed } from "./bytes.ts";
import { TemplateError } from "./errors.ts";
import { type Bounds, Executor, type Rendering } from "./execute.ts";
import { functionNames } from "./functions.ts";
import { parse } from "./parse.ts";
import { type Expression, isBranch, type Node, type Pipe, type Tree } from "./tree.ts";

/** Enough for any prompt; a template that needs more is broken or hostile. */
const defaultBounds: Bounds = { steps: 2_000_000, output: 64 * 2 ** 20 };

/** The text of a rendering, without minding its pauses. @throws TemplateError */
export function atOnce(rendering: Rendering): string {
  for (;;) {
    const step = rendering.next();
    if (step.done) return step.value;
  }
}

export class Template {
  readonly #tree: Tree;
  #identifiers: ReadonlySet<string> | undefined;
  #fields: ReadonlySet<string> | undefined;

  constructor(
    /** The text it was parsed from. */
    readonly source: string,
    tree: Tree,
  ) {
    this.#tree = tree;
  }

  /**
   * Renders with pauses.
   * @throws TemplateError in Go's words, also when it needs more than `bounds`; what it wrote so far is
   * lost
   */
  *rendering(data: unknown, bounds: Bounds = defaultBounds): Rendering {
    const dot = data ?? undefined;
    const executor = new Executor(this.source, this.#tree, dot, bounds);
    return wellFormed(yield* executor.run(this.#tree.root, dot));
  }

  /** Renders at once. @throws as `rendering` */
  render(data: unknown, bounds: Bounds = defaultBounds): string {
    return atOnce(this.rendering(data, bounds));
  }

  /** Top-level nodes. */
  get root(): readonly Node[] {
    return this.#tree.root;
  }

  /** Nodes of all templates that it defines, itself among them under the empty name. */
  get defined(): ReadonlyMap<string, readonly Node[]> {
    return this.#tree.defined;
  }

  /** The same template with other top-level nodes. */
  withRoot(root: readonly Node[]): Template {
    return new Template(this.source, { ...this.#tree, root });
  }

  /** Names of all fields and variables used anywhere, in lower case (`.Messages` → `messages`, `$x`). */
  identifiers(): ReadonlySet<string> {
    if (this.#identifiers === undefined) {
      const found = new Set<string>();
      for (const nodes of this.#tree.defined.values()) collectNodes(nodes, found);
      this.#identifiers = found;
    }
    return this.#identifiers;
  }

  /** Names of all fields used anywhere, in lower case. */
  fields(): ReadonlySet<string> {
    this.#fields ??= new Set([...this.identifiers()].filter((name) => !name.startsWith("$")));
    return this.#fields;
  }
}

function collectNodes(nodes: readonly Node[], found: Set<string>): void {
  for (const node of nodes) {
    if ("pipe" in node && node.pipe !== undefined) collectPipe(node.pipe, found);
    if (isBranch(node)) {
      collectNodes(node.body, found);
      collectNodes(node.otherwise, found);
    }
  }
}

function collectPipe(pipe: Pipe, found: Set<string>): void {
  for (const { operands } of pipe.commands)
    for (const operand of operands) collectOperand(operand, found);
}

function collectOperand(operand: Expression, found: Set<string>): void {
  const add = (names: readonly string[]) => {
    for (const name of names) found.add(name.toLowerCase());
  };
  if (operand.kind === "field") add(operand.names);
  else if (operand.kind === "variable") add([operand.name, ...operand.fields]);
  else if (operand.kind === "pipe") collectPipe(operand.pipe, found);
  else if (operand.kind === "chain") {
    add(operand.fields);
    collectOperand(operand.inner, found);
  }
}

/** @throws TemplateError with line and reason in Go's words */
export function parseTemplate(source: string): Template {
  return new Template(source, parse(source, functionNames));
}

function bareCall(nodes: readonly Node[]): Node | undefined {
  for (const node of nodes) {
    if (node.kind === "template" && node.pipe === undefined) return node;
    const inner = isBranch(node) ? (bareCall(node.body) ?? bareCall(node.otherwise)) : undefined;
    if (inner !== undefined) return inner;
  }
  return undefined;
}

/**
 * A template as it may be stored with a model: Ollama refuses one that calls another without giving it
 * a value (template.md 4).
 * @throws TemplateError
 */
export function parseStoredTemplate(source: string): Template {
  const template = parseTemplate(source);
  for (const nodes of template.defined.values()) {
    const call = bareCall(nodes);
    if (call !== undefined) {
      throw new TemplateError("undefined template specified", "parse", call.line);
    }
  }
  return template;
}

export { TemplateError };
