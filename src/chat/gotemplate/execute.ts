/**
 * The evaluator. Bounded in steps and texts: a template that loops or explodes ends in an error. It
 * runs as a generator that pauses in loops, so that a long conversation need not be rendered in one go.
 */
import { byteLength } from "./bytes.ts";
import { CallError, TemplateError } from "./errors.ts";
import { callFunction, checkCount } from "./functions.ts";
import { Overflow } from "./literals.ts";
import { printValue } from "./print.ts";
import {
  type BranchNode,
  type Command,
  type Expression,
  isBranch,
  type Node,
  type Pipe,
  type Place,
  type TemplateNode,
  type Tree,
} from "./tree.ts";
import { entriesOf, isNothing, isTrue, Struct, sortedEntries, textOf, typeName } from "./values.ts";

export interface Bounds {
  /** Most nodes, operands and variables looked at. */
  readonly steps: number;
  /** Most UTF-16 units in the output and in what functions return, together. */
  readonly output: number;
}

/** Deepest nesting of templates that call each other. */
const deepestCalls = 200;

/** Steps between two pauses: about a millisecond. */
const stepsAPause = 5_000;

/** A rendering with pauses; it returns the text. */
export type Rendering<T = string> = Generator<undefined, T>;

/** Longest piece of the template in an error. */
const longest = 200;

/** How a list of nodes ended. */
type Flow = "next" | "break" | "continue";

interface Variable {
  readonly name: string;
  value: unknown;
}

/** No value comes from the stage before. */
const missing = Symbol("missing");

export class Executor {
  readonly #source: string;
  readonly #tree: Tree;
  readonly #bounds: Bounds;
  readonly #out: string[] = [];
  #length = 0;
  #steps = 0;
  #pauseAt = stepsAPause;
  #variables: Variable[];
  #calls = 0;
  #name = "";
  #place: Place = { line: 1, at: 0, source: "" };

  constructor(source: string, tree: Tree, data: unknown, bounds: Bounds) {
    this.#source = source;
    this.#tree = tree;
    this.#bounds = bounds;
    this.#variables = [{ name: "$", value: data }];
  }

  /** @throws TemplateError */
  *run(nodes: readonly Node[], dot: unknown): Rendering {
    yield* this.#list(nodes, dot);
    return this.#out.join("");
  }

  /** Fails at the place that was evaluated last, as Go does. */
  #fail(reason: string): never {
    const { line, at, source } = this.#place;
    const start = this.#source.lastIndexOf("\n", at - 1) + 1;
    const column = byteLength(this.#source.slice(start, at));
    const name = JSON.stringify(this.#name);
    const shown = source.length > longest ? `${source.slice(0, longest)}...` : source;
    throw new TemplateError(
      `template: :${line}:${column}: executing ${name} at <${shown}>: ${reason}`,
      "exec",
      line,
    );
  }

  #step(count = 1): void {
    this.#steps += count;
    if (this.#steps > this.#bounds.steps) this.#fail("the template runs too long");
  }

  /** Counts a text against the bound, before it grows further. */
  #charge(text: string): void {
    this.#length += text.length;
    if (this.#length > this.#bounds.output) this.#fail("the output is too long");
  }

  #write(text: string): void {
    this.#charge(text);
    this.#out.push(text);
  }

  *#list(nodes: readonly Node[], dot: unknown): Rendering<Flow> {
    for (const node of nodes) {
      this.#place = node;
      this.#step();
      let flow: Flow = "next";
      if (node.kind === "text") this.#write(node.text);
      else if (node.kind === "action") this.#action(node.pipe, dot);
      else if (node.kind === "range") flow = yield* this.#range(node, dot);
      else if (node.kind === "template") yield* this.#template(node, dot);
      else if (isBranch(node)) flow = yield* this.#branch(node, dot);
      else flow = node.kind;
      if (flow !== "next") return flow;
    }
    return "next";
  }

  /** A value as it prints; one too long to print fails. */
  #shown(value: unknown): string {
    try {
      return printValue(value);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      return this.#fail(error.message);
    }
  }

  #action(pipe: Pipe, dot: unknown): void {
    const value = this.#pipe(pipe, dot);
    if (pipe.declares.length === 0) this.#write(this.#shown(value));
  }

  *#branch(node: BranchNode, dot: unknown): Rendering<Flow> {
    const scope = this.#variables.length;
    const value = this.#pipe(node.pipe, dot);
    const flow = isTrue(value)
      ? yield* this.#list(node.body, node.kind === "with" ? value : dot)
      : yield* this.#list(node.otherwise, dot);
    this.#variables.length = scope;
    return flow;
  }

  *#template(node: TemplateNode, dot: unknown): Rendering<void> {
    const body = this.#tree.defined.get(node.name);
    if (body === undefined) this.#fail(`template ${JSON.stringify(node.name)} not defined`);
    if (++this.#calls > deepestCalls) {
      this.#fail(`exceeded maximum template depth (${deepestCalls})`);
    }
    const value = node.pipe === undefined ? undefined : this.#pipe(node.pipe, dot);
    const outer = { variables: this.#variables, name: this.#name };
    this.#variables = [{ name: "$", value }];
    this.#name = node.name;
    yield* this.#list(body, value);
    this.#variables = outer.variables;
    this.#name = outer.name;
    this.#calls--;
  }

  *#range(node: BranchNode, dot: unknown): Rendering<Flow> {
    const scope = this.#variables.length;
    const value = this.#pipe(node.pipe, dot);
    const { declares, assigns } = node.pipe;
    // With two names the first is the key; with one it is the element.
    const names = assigns
      ? declares.map((name) => this.#variable(name))
      : this.#variables.slice(this.#variables.length - declares.length);
    const inner = this.#variables.length;
    const keyed = names.length > 1;
    let ran = false;
    let flow: Flow = "next";
    for (const [key, item] of this.#rounds(value, names.length)) {
      ran = true;
      this.#step();
      if (this.#steps >= this.#pauseAt) {
        this.#pauseAt = this.#steps + stepsAPause;
        yield;
      }
      const [first, second] = names;
      if (first !== undefined) first.value = keyed ? key : item;
      if (second !== undefined) second.value = item;
      flow = yield* this.#list(node.body, item);
      this.#variables.length = inner;
      if (flow === "break") break;
    }
    if (!ran) flow = yield* this.#list(node.otherwise, dot);
    this.#variables.length = scope;
    // The loop has taken its own breaks; one of the other branch is for the loop around it.
    return ran ? "next" : flow;
  }

  *#rounds(value: unknown, names: number): Generator<[unknown, unknown]> {
    if (isNothing(value)) return;
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) yield [BigInt(i), value[i]];
      return;
    }
    if (typeof value === "bigint") {
      if (names > 1) this.#fail(`can't use ${value} to iterate over more than one variable`);
      for (let i = 0n; i < value; i++) yield [undefined, i];
      return;
    }
    const entries = entriesOf(value);
    if (entries === undefined) {
      this.#fail(`range can't iterate over ${this.#shown(value)}`);
    }
    yield* sortedEntries(entries);
  }

  #variable(name: string): Variable {
    for (let i = this.#variables.length - 1; i >= 0; i--) {
      const variable = this.#variables[i] as Variable;
      if (variable.name === name) {
        this.#step((this.#variables.length - i) >> 4);
        return variable;
      }
    }
    return this.#fail(`undefined variable: ${name}`);
  }

  /** A pipeline's value; declared variables get it. */
  #pipe(pipe: Pipe, dot: unknown): unknown {
    this.#place = pipe;
    let value: unknown = missing;
    for (const command of pipe.commands) {
      value = this.#command(command, dot, value);
      // A nil interface ends here: what comes out of a pipeline is the thing inside.
      if (value === null) value = undefined;
    }
    for (const name of pipe.declares) {
      if (pipe.assigns) this.#variable(name).value = value;
      else this.#variables.push({ name, value });
    }
    return value;
  }

  #command(command: Command, dot: unknown, last: unknown): unknown {
    const [first, ...rest] = command.operands;
    if (first === undefined) return this.#fail("empty command");
    if (first.kind === "function") return this.#call(command, first, rest, dot, last);
    if (rest.length > 0 || last !== missing) return this.#refuseArguments(first, dot);
    this.#place = first;
    if (first.kind === "nil") this.#fail("nil is not a command");
    return this.#operand(first, dot);
  }

  /**
   * Only functions take arguments; what is wrong with others is told as Go does: what leads to a field
   * must be there before its arguments can be wrong, and a field of nothing is nothing.
   */
  #refuseArguments(first: Expression, dot: unknown): undefined {
    const names = first.kind === "field" ? first.names : "fields" in first ? first.fields : [];
    const name = names.at(-1);
    this.#place = first;
    if (name === undefined) this.#fail(`can't give argument to non-function ${first.source}`);
    const shorter =
      first.kind === "field"
        ? { ...first, names: names.slice(0, -1) }
        : { ...first, fields: names.slice(0, -1) };
    const holder = this.#operand(shorter as Expression, dot);
    if (holder === undefined) return undefined;
    this.#field(holder, name);
    return this.#fail(
      holder instanceof Struct
        ? `${name} has arguments but cannot be invoked as function`
        : `${name} is not a method but has arguments`,
    );
  }

  #call(
    command: Command,
    node: Expression & { kind: "function" },
    rest: readonly Expression[],
    dot: unknown,
    last: unknown,
  ): unknown {
    this.#place = node;
    try {
      checkCount(node.name, rest.length + (last === missing ? 0 : 1));
      if (node.name === "and" || node.name === "or") {
        return this.#shortCircuit(node.name, rest, dot, last);
      }
      const args = rest.map((operand) => this.#operand(operand, dot));
      if (last !== missing) args.push(last);
      const value = callFunction(node.name, args);
      if (typeof value === "string") this.#charge(value);
      return value;
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      if (error.whole) this.#fail(error.message);
      this.#place = command;
      return this.#fail(`error calling ${node.name}: ${error.message}`);
    }
  }

  #shortCircuit(name: string, rest: readonly Expression[], dot: unknown, last: unknown): unknown {
    let value: unknown;
    for (const operand of rest) {
      value = this.#operand(operand, dot);
      if (isTrue(value) === (name === "or")) return value;
    }
    return last === missing ? value : last;
  }

  #operand(node: Expression, dot: unknown): unknown {
    this.#place = node;
    this.#step();
    switch (node.kind) {
      case "literal":
        if (node.value instanceof Overflow) this.#fail(`${node.value.text} overflows int`);
        return node.value;
      case "nil":
        return undefined;
      case "dot":
        return dot;
      case "field":
        return this.#fields(dot, node.names);
      case "variable":
        return this.#fields(this.#variable(node.name).value, node.fields);
      case "function":
        return this.#call({ ...node, operands: [node] }, node, [], dot, missing);
      case "pipe":
        return this.#pipe(node.pipe, dot);
      case "chain":
        if (node.inner.kind === "nil") this.#fail("indirection through explicit nil");
        return this.#fields(this.#operand(node.inner, dot), node.fields);
    }
  }

  #fields(start: unknown, names: readonly string[]): unknown {
    let value = start;
    for (const name of names) value = this.#field(value, name);
    return value;
  }

  /** `.Name` of a value. A missing key of a map is nil; a field of nil is an error. */
  #field(value: unknown, name: string): unknown {
    if (value === undefined) return undefined;
    if (value === null) {
      return this.#fail(`nil pointer evaluating interface {}.${name}`);
    }
    if (value instanceof Struct && Object.hasOwn(value.fields, name)) return value.fields[name];
    const entries = entriesOf(value);
    if (entries !== undefined && Object.hasOwn(entries, name)) return entries[name];
    const text = name === "String" ? textOf(value) : undefined;
    if (text !== undefined) return text();
    if (entries !== undefined) return null;
    return this.#fail(`can't evaluate field ${name} in type ${typeName(value)}`);
  }
}
