/**
 * Constraints without native code: an answer that obeys, and a judgement. Instances are generated and
 * then validated, so that nothing goes out that breaks its schema; what no instance is found for is
 * refused, as are grammars. The engine on libllama enforces more and says so differently; clients that
 * are tested against this one see the same levels for the keywords below.
 */
import { type Schema, type SchemaDraft, Validator } from "@cfworker/json-schema";
import { generateSync, type JsonSchema } from "json-schema-faker";
import { EngineError } from "../errors.ts";
import type { BrokenRule, Constraint, ConstraintReport } from "./engine.ts";

/** Keywords that the real engine leaves to validation (docs/structured-output.md). */
const validated = new Set(
  `contains contentEncoding contentMediaType dependencies dependentRequired dependentSchemas else if
  maxContains minContains not propertyNames then unevaluatedItems unevaluatedProperties
  uniqueItems`.split(/\s+/),
);
/** Keywords whose members are named by the client, not by the standard. */
const namesOfClients = new Set(["properties", "patternProperties", "$defs", "definitions"]);
/** Keywords whose values are data. */
const data = new Set(["const", "enum", "default", "examples", "required"]);

/** Generated instances that are tried until one is valid. */
const tries = 40;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The first keyword that is left to validation. */
function validatedKeyword(schema: unknown, pointer: string): BrokenRule | undefined {
  if (!isObject(schema)) return undefined;
  for (const [keyword, value] of Object.entries(schema)) {
    const here = `${pointer}/${keyword}`;
    if (validated.has(keyword)) {
      return { pointer: here, keyword, reason: "not enforced, but validated" };
    }
    if (data.has(keyword) || typeof value !== "object" || value === null) continue;
    const inside = namesOfClients.has(keyword) || Array.isArray(value);
    const found = inside
      ? Object.entries(value)
          .map(([name, one]) => validatedKeyword(one, `${here}/${name}`))
          .find((rule) => rule !== undefined)
      : validatedKeyword(value, here);
    if (found !== undefined) return found;
  }
  return undefined;
}

function draftOf(schema: Record<string, unknown>): SchemaDraft {
  const named = /draft-0?(4|7)|2019-09/.exec(String(schema.$schema ?? ""));
  return named === null ? "2020-12" : ((named[1] ?? "2019-09") as SchemaDraft);
}

/** The first rule that a value breaks. */
function brokenRule(validator: Validator, value: unknown): BrokenRule | undefined {
  const { valid, errors } = validator.validate(value);
  // Errors go from the outside to the inside.
  const last = errors.at(-1);
  if (valid) return undefined;
  const pointer = (last?.instanceLocation ?? "#").slice(1);
  return { pointer, keyword: last?.keyword ?? "", reason: last?.error ?? "does not fit" };
}

/** A value that keeps to a schema; undefined when none is found. Always the same one. */
export function instanceOf(schema: unknown): unknown {
  if (!isObject(schema)) return undefined;
  const validator = new Validator(schema as Schema, draftOf(schema), true);
  for (let seed = 1; seed <= tries; seed++) {
    const instance = generateSync(structuredClone(schema) as JsonSchema, {
      seed,
      // After a while fewer members may be what is needed.
      alwaysFakeOptionals: seed <= tries / 2,
    });
    if (instance !== undefined && validator.validate(instance).valid) return instance;
  }
  return undefined;
}

/** A text that an expression matches as a whole; undefined when none is found. */
function matching(regex: string): string | undefined {
  const whole = `^(?:${regex})$`;
  const found = instanceOf({ type: "string", pattern: whole });
  return typeof found === "string" ? found : undefined;
}

/** Schemas in a grammar of calls (src/schema/calls/grammar.ts), a tool's each, in their order. */
export function argumentSchemas(grammar: string): unknown[] {
  return [...grammar.matchAll(/^a\d+: %json (.*)$/gm)].map((match) => parsed(match[1] ?? ""));
}

/** How an answer to a constraint is made, or why none can be. */
function solved({ kind, text }: Constraint): { answer: string } | { refused: string } {
  try {
    if (kind === "choice") return { answer: (parsed(text) as string[])[0] ?? "" };
    // Of grammars it knows calls alone, which stand within an answer that something else makes.
    if (kind === "lark" && argumentSchemas(text).length > 0) return { answer: "" };
    if (kind === "lark") return { refused: "the engine without native code knows no grammars" };
    if (kind === "schema" && !isObject(parsed(text))) return { refused: "a schema is an object" };
    const found = kind === "regex" ? matching(text) : JSON.stringify(instanceOf(parsed(text)));
    const refused = "the engine without native code finds no text that fits";
    return found === undefined ? { refused } : { answer: found };
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error) };
  }
}

/** Judges a text. */
function judged({ kind, text }: Constraint, one: string): BrokenRule | undefined {
  const rule = (reason: string): BrokenRule => ({ keyword: "", reason });
  if (kind === "choice") {
    return (parsed(text) as string[]).includes(one) ? undefined : rule("none of the choices");
  }
  if (kind === "regex") {
    return new RegExp(`^(?:${text})$`, "u").test(one) ? undefined : rule("does not match");
  }
  const value = parsed(one);
  if (value === undefined) return rule("not JSON");
  const schema = parsed(text) as Record<string, unknown>;
  return brokenRule(new Validator(schema as Schema, draftOf(schema), true), value);
}

export function fakeReport(constraint: Constraint, texts: readonly string[]): ConstraintReport {
  const solution = solved(constraint);
  if ("refused" in solution) {
    const reason = { keyword: "", reason: solution.refused };
    return { level: "refused", reason, compileMs: 0, verdicts: [] };
  }
  const reason =
    constraint.kind === "schema" ? validatedKeyword(parsed(constraint.text), "") : undefined;
  const verdicts = texts.map((one) => {
    const broken = judged(constraint, one);
    return { accepted: broken === undefined, ...(broken === undefined ? {} : { broken }) };
  });
  const why = reason === undefined ? {} : { reason };
  return { level: reason === undefined ? "enforced" : "validated", ...why, compileMs: 0, verdicts };
}

/** A text that keeps to a constraint. @throws EngineError for one that is refused */
export function obedientText(constraint: Constraint): string {
  const solution = solved(constraint);
  if ("refused" in solution) throw new EngineError(solution.refused);
  return solution.answer;
}
