/**
 * Constraints without an engine: an answer that obeys, and a judgement, for the few keywords that tests
 * need. Other keywords make a schema `validated`, grammars are refused: nothing is claimed that is not so.
 */
import { EngineError } from "../errors.ts";
import type { BrokenRule, Constraint, ConstraintReport } from "./engine.ts";

interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

const samples: Readonly<Record<string, unknown>> = {
  string: "text",
  integer: 1,
  number: 1,
  boolean: true,
  null: null,
  array: [],
};
const known = new Set(["type", "const", "enum", "properties", "required", "$schema"]);

/** A value that keeps to a schema. */
function sample(schema: Schema): unknown {
  if ("const" in schema) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  const named = Object.entries(schema.properties ?? {});
  const object = schema.type === "object" || (schema.type === undefined && named.length > 0);
  return object
    ? Object.fromEntries(named.map(([name, inside]) => [name, sample(inside)]))
    : (samples[schema.type ?? "string"] ?? {});
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}

/** The first rule that a value breaks. */
function broken(schema: Schema, value: unknown, pointer: string): BrokenRule | undefined {
  const rule = (keyword: string): BrokenRule => ({ pointer, keyword, reason: "does not fit" });
  const same = (other: unknown) => Bun.deepEquals(other, value);
  if ("const" in schema && !same(schema.const)) return rule("const");
  if (schema.enum !== undefined && !schema.enum.some(same)) return rule("enum");
  const type = typeOf(value);
  const fits = type === schema.type || (type === "integer" && schema.type === "number");
  if (schema.type !== undefined && !fits) return rule("type");
  if (type !== "object") return undefined;
  const members = value as Record<string, unknown>;
  if (schema.required?.some((name) => !(name in members))) return rule("required");
  for (const [name, inside] of Object.entries(schema.properties ?? {})) {
    const found = name in members && broken(inside, members[name], `${pointer}/${name}`);
    if (found) return found;
  }
  return undefined;
}

/** The first keyword that this file does not know. */
function unknownKeyword(schema: Schema, pointer: string): BrokenRule | undefined {
  const keyword = Object.keys(schema).find((name) => !known.has(name));
  if (keyword !== undefined) {
    return { pointer: `${pointer}/${keyword}`, keyword, reason: "not enforced by this engine" };
  }
  for (const [name, inside] of Object.entries(schema.properties ?? {})) {
    const found = unknownKeyword(inside, `${pointer}/properties/${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refused(reason: string): ConstraintReport {
  const rule = { pointer: "", keyword: "", reason };
  return { level: "refused", reason: rule, compileMs: 0, verdicts: [] };
}

export function fakeReport({ kind, text }: Constraint, texts: readonly string[]): ConstraintReport {
  const wanted = parsed(text);
  if (kind === "choice" && Array.isArray(wanted)) {
    const verdicts = texts.map((one) => ({ accepted: wanted.includes(one) }));
    return { level: "enforced", compileMs: 0, verdicts };
  }
  if (kind !== "schema") return refused("the engine without native code knows no grammars");
  if (typeOf(wanted) !== "object") return refused("a schema is an object");
  const schema = wanted as Schema;
  const reason = unknownKeyword(schema, "");
  const verdicts = texts.map((one) => {
    const value = parsed(one);
    const none = { pointer: "", keyword: "", reason: "not JSON" };
    const rule = value === undefined ? none : broken(schema, value, "");
    return { accepted: rule === undefined, ...(rule === undefined ? {} : { broken: rule }) };
  });
  const why = reason === undefined ? {} : { reason };
  return { level: reason === undefined ? "enforced" : "validated", ...why, compileMs: 0, verdicts };
}

/** A text that keeps to a constraint. @throws EngineError for one that is refused */
export function obedientText(constraint: Constraint): string {
  const { level, reason } = fakeReport(constraint, []);
  if (level === "refused") throw new EngineError(reason?.reason ?? "refused");
  const wanted = parsed(constraint.text);
  return Array.isArray(wanted) ? String(wanted[0]) : JSON.stringify(sample(wanted as Schema));
}
