/** Go text/template as Ollama's templates use it: parse once, render many times. */
import { TemplateError } from "./errors.ts";
import { type Bounds, Executor } from "./execute.ts";
import { functionNames } from "./functions.ts";
import { type Expression, type Node, type Pipe, parse, type Tree } from "./parse.ts";

/** Enough for any prompt; a template that needs more is broken or hostile. */
const defaultBounds: Bounds = { steps: 2_000_000, output: 64 * 2 ** 20 };

export class Template {
  readonly #tree: Tree;

  constructor(
    /** The text it was parsed from. */
    readonly source: string,
    tree: Tree,
  ) {
    this.#tree = tree;
  }

  /**
   * @throws TemplateError in Go's words; `written` so far is lost
   */
  render(data: unknown, bounds: Bounds = defaultBounds): string {
    return new Executor(this.#tree, data, bounds).run(this.#tree.root, data);
  }

  /** Top-level nodes. */
  get root(): readonly Node[] {
    return this.#tree.root;
  }

  /** The same template with other top-level nodes. */
  withRoot(root: readonly Node[]): Template {
    return new Template(this.source, { ...this.#tree, root });
  }

  /** Names of all fields used anywhere, lower-cased (`.Messages` → `messages`). */
  fields(): ReadonlySet<string> {
    const found = new Set<string>();
    for (const nodes of [this.#tree.root, ...this.#tree.defined.values()])
      collectNodes(nodes, found);
    return found;
  }
}

function collectNodes(nodes: readonly Node[], found: Set<string>): void {
  for (const node of nodes) {
    if (node.kind === "action") collectPipe(node.pipe, found);
    else if (node.kind === "template" && node.pipe !== undefined) collectPipe(node.pipe, found);
    else if (node.kind === "if" || node.kind === "with" || node.kind === "range") {
      collectPipe(node.pipe, found);
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
  else if (operand.kind === "variable") add(operand.fields);
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

export { TemplateError };
