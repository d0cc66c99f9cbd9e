/** The evaluator. Bounded in steps and output: a template that loops or explodes ends in an error. */
import { TemplateError } from "./errors.ts";
import { CallError, callFunction } from "./functions.ts";
import type { Command, Expression, Node, Pipe, Place, Tree } from "./parse.ts";
import {
  Int,
  isMap,
  isTrue,
  printValue,
  Struct,
  sortedEntries,
  TextMap,
  typeName,
} from "./values.ts";

export interface Bounds {
  /** Most nodes executed. */
  readonly steps: number;
  /** Most UTF-16 units written. */
  readonly output: number;
}

/** Deepest nesting of templates that call each other. */
const deepestCalls = 100;

type BranchNode = Extract<Node, { readonly body: readonly Node[] }>;

class Break {}
class Continue {}

interface Variable {
  readonly name: string;
  value: unknown;
}

export class Executor {
  readonly #tree: Tree;
  readonly #bounds: Bounds;
  readonly #out: string[] = [];
  #length = 0;
  #steps = 0;
  #variables: Variable[];
  #calls = 0;

  constructor(tree: Tree, data: unknown, bounds: Bounds) {
    this.#tree = tree;
    this.#bounds = bounds;
    this.#variables = [{ name: "$", value: data }];
  }

  get written(): string {
    return this.#out.join("");
  }

  run(nodes: readonly Node[], dot: unknown): string {
    this.#list(nodes, dot);
    return this.written;
  }

  #fail(place: Place, reason: string): never {
    throw new TemplateError(
      `template: :${place.line}: executing "" at <${place.source.slice(0, 60)}>: ${reason}`,
      "exec",
      place.line,
    );
  }

  #write(place: Place, text: string): void {
    this.#length += text.length;
    if (this.#length > this.#bounds.output) this.#fail(place, "the output is too long");
    this.#out.push(text);
  }

  #list(nodes: readonly Node[], dot: unknown): void {
    const scope = this.#variables.length;
    for (const node of nodes) this.#node(node, dot);
    this.#variables.length = scope;
  }

  #node(node: Node, dot: unknown): void {
    if (++this.#steps > this.#bounds.steps) this.#fail(node, "the template runs too long");
    switch (node.kind) {
      case "text":
        this.#write(node, node.text);
        return;
      case "action": {
        const value = this.#pipe(node.pipe, dot);
        if (node.pipe.declares.length === 0) this.#write(node, printValue(value));
        return;
      }
      case "if":
      case "with": {
        const scope = this.#variables.length;
        const value = this.#pipe(node.pipe, dot);
        if (isTrue(value)) this.#list(node.body, node.kind === "with" ? value : dot);
        else this.#list(node.otherwise, dot);
        this.#variables.length = scope;
        return;
      }
      case "range":
        this.#range(node, dot);
        return;
      case "break":
        throw new Break();
      case "continue":
        throw new Continue();
      case "template":
        this.#template(node, dot);
    }
  }

  #template(node: Node & { kind: "template" }, dot: unknown): void {
    const body = this.#tree.defined.get(node.name);
    if (body === undefined) this.#fail(node, `template "${node.name}" not defined`);
    if (++this.#calls > deepestCalls) this.#fail(node, "exceeded maximum template depth");
    const value = node.pipe === undefined ? undefined : this.#pipe(node.pipe, dot);
    const outer = this.#variables;
    this.#variables = [{ name: "$", value }];
    this.#list(body, value);
    this.#variables = outer;
    this.#calls--;
  }

  #range(node: BranchNode, dot: unknown): void {
    const scope = this.#variables.length;
    const { declares, assigns } = node.pipe;
    const value = this.#value(node.pipe, dot);
    const rounds = this.#rounds(node, value, declares.length);
    const names = declares.map((name) => this.#declare(name, assigns));
    let ran = false;
    for (const [key, item] of rounds) {
      ran = true;
      if (++this.#steps > this.#bounds.steps) this.#fail(node, "the template runs too long");
      const [first, second] = names;
      if (first !== undefined) first.value = second === undefined ? item : key;
      if (second !== undefined) second.value = item;
      const inner = this.#variables.length;
      try {
        this.#list(node.body, item);
      } catch (signal) {
        this.#variables.length = inner;
        if (signal instanceof Break) break;
        if (!(signal instanceof Continue)) throw signal;
      }
      this.#variables.length = inner;
    }
    this.#variables.length = scope;
    if (!ran) this.#list(node.otherwise, dot);
  }

  *#rounds(node: BranchNode, value: unknown, names: number): Generator<[unknown, unknown]> {
    if (value === undefined || value === null) return;
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) yield [new Int(i), item];
    } else if (value instanceof Int) {
      if (names > 1)
        this.#fail(node.pipe, `can't use ${value} to iterate over more than one variable`);
      for (let i = 0; i < value.value; i++) yield [new Int(i), new Int(i)];
    } else if (value instanceof TextMap || isMap(value)) {
      const entries = value instanceof TextMap ? value.entries : value;
      for (const [key, item] of sortedEntries(entries as Record<string, unknown>))
        yield [key, item];
    } else {
      this.#fail(node.pipe, `range can't iterate over ${printValue(value, true)}`);
    }
  }

  #declare(name: string, assigns: boolean): Variable {
    const known = assigns
      ? this.#variables.findLast((variable) => variable.name === name)
      : undefined;
    if (known !== undefined) return known;
    const fresh: Variable = { name, value: undefined };
    this.#variables.push(fresh);
    return fresh;
  }

  /** A pipeline's value; declared variables get it. */
  #pipe(pipe: Pipe, dot: unknown): unknown {
    const value = this.#value(pipe, dot);
    for (const name of pipe.declares) this.#declare(name, pipe.assigns).value = value;
    return value;
  }

  #value(pipe: Pipe, dot: unknown): unknown {
    let value: unknown;
    let piped = false;
    for (const command of pipe.commands) {
      value = this.#command(command, dot, piped, value);
      piped = true;
    }
    return value;
  }

  #command(command: Command, dot: unknown, piped: boolean, last: unknown): unknown {
    const [first, ...rest] = command.operands;
    if (first === undefined) this.#fail(command, "empty command");
    if (first.kind === "function") return this.#call(command, first, rest, dot, piped, last);
    const arguments_ = rest.length > 0 || piped;
    switch (first.kind) {
      case "nil":
        this.#fail(first, "nil is not a command");
        break;
      case "literal":
      case "dot":
        if (arguments_) this.#fail(first, `can't give argument to non-function ${first.source}`);
        break;
      case "pipe":
        if (arguments_) this.#fail(first, `can't give argument to non-function ${first.source}`);
        break;
      case "field":
        if (arguments_)
          this.#fail(first, `${first.names.at(-1)} is not a method but has arguments`);
        break;
      case "variable":
        if (arguments_) {
          const what =
            first.fields.length > 0
              ? `${first.fields.at(-1)} is not a method but has arguments`
              : `can't give argument to non-function ${first.source}`;
          this.#fail(first, what);
        }
        break;
      case "chain":
        if (arguments_)
          this.#fail(first, `${first.fields.at(-1)} is not a method but has arguments`);
    }
    return this.#operand(first, dot);
  }

  #call(
    command: Command,
    node: Expression & { kind: "function" },
    rest: readonly Expression[],
    dot: unknown,
    piped: boolean,
    last: unknown,
  ): unknown {
    if (node.name === "and" || node.name === "or") {
      if (rest.length === 0 && !piped)
        this.#fail(node, `wrong number of args for ${node.name}: want at least 1 got 0`);
      let value: unknown;
      for (const operand of rest) {
        value = this.#operand(operand, dot);
        if (isTrue(value) === (node.name === "or")) return value;
      }
      return piped ? last : value;
    }
    if (node.name === "eq" && rest.length + (piped ? 1 : 0) > 1) {
      // Operands are compared one by one, so that an error comes only when it is reached.
      const args = rest.map((operand) => this.#operand(operand, dot));
      if (piped) args.push(last);
      return this.#guard(command, node, args);
    }
    const args = rest.map((operand) => this.#operand(operand, dot));
    if (piped) args.push(last);
    return this.#guard(command, node, args);
  }

  #guard(
    command: Command,
    node: Expression & { kind: "function" },
    args: readonly unknown[],
  ): unknown {
    try {
      return callFunction(node.name, args);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      if (error.whole) this.#fail(node, error.message);
      this.#fail(command, `error calling ${node.name}: ${error.message}`);
    }
  }

  #operand(node: Expression, dot: unknown): unknown {
    switch (node.kind) {
      case "literal":
        return node.value;
      case "nil":
        return null;
      case "dot":
        return dot;
      case "field":
        return this.#fields(node, dot, node.names);
      case "variable": {
        const found = this.#variables.findLast(({ name }) => name === node.name);
        return this.#fields(node, found?.value, node.fields);
      }
      case "function":
        return this.#call(
          { operands: [node], line: node.line, source: node.source },
          node,
          [],
          dot,
          false,
          undefined,
        );
      case "pipe":
        return this.#pipe(node.pipe, dot);
      case "chain":
        return this.#fields(node, this.#operand(node.inner, dot), node.fields);
    }
  }

  /** `.A.B.C` from a value. A missing key of a map is nothing; a field of nothing is an error. */
  #fields(node: Expression, start: unknown, names: readonly string[]): unknown {
    let value = start;
    names.forEach((name, i) => {
      if (value === undefined || value === null) {
        if (i === 0) {
          value = undefined;
          return;
        }
        this.#fail(node, `nil pointer evaluating interface {}.${name}`);
      }
      value = this.#field(node, value, name);
    });
    return value;
  }

  #field(node: Expression, value: unknown, name: string): unknown {
    if (value instanceof Struct) {
      if (Object.hasOwn(value.fields, name)) return value.fields[name];
      return this.#fail(node, `can't evaluate field ${name} in type ${value.type}`);
    }
    if (value instanceof TextMap)
      return Object.hasOwn(value.entries, name) ? value.entries[name] : undefined;
    if (isMap(value)) return Object.hasOwn(value, name) ? value[name] : undefined;
    return this.#fail(node, `can't evaluate field ${name} in type ${typeName(value)}`);
  }
}
