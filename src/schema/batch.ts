/** Lines of `hutch schema check --batch`: reading one, writing its answer. */
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { ConstraintReport } from "../engine/engine.ts";
import { errorMessage } from "../errors.ts";
import { itemTexts, memberText } from "./json-text.ts";
import { ruleText } from "./verdict.ts";

const Line = t.Object({
  id: t.Union([t.String(), t.Number()]),
  schema: t.Any(),
  tests: t.Optional(t.Array(t.Object({ data: t.Any() }))),
});

/** One schema and the data to try, as they were written. */
export interface BatchLine {
  readonly id: Static<typeof Line>["id"];
  readonly schema: string;
  readonly tests: readonly string[];
}

const member = (json: string, wanted: string) => memberText(json, (name) => name === wanted);

/** The line, or what is wrong with it. */
export function readBatchLine(text: string, number: number): BatchLine | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `line ${number}: not JSON: ${errorMessage(error)}`;
  }
  if (!Value.Check(Line, value)) {
    const first = Value.Errors(Line, value).First();
    return `line ${number}: ${first?.path ?? ""}: ${first?.message ?? "unknown shape"}`;
  }
  return {
    id: value.id,
    schema: member(text, "schema") ?? "null",
    tests: itemTexts(member(text, "tests") ?? "[]").map((test) => member(test, "data") ?? "null"),
  };
}

/** The answer to a line; a text as outcome is an error. */
export function batchAnswer({ id, tests }: BatchLine, outcome: ConstraintReport | string): string {
  const none = tests.map(() => false);
  if (typeof outcome === "string") {
    return JSON.stringify({ id, supported: false, error: outcome, results: none });
  }
  const { level, reason, compileMs, verdicts } = outcome;
  const supported = level !== "refused";
  return JSON.stringify({
    id,
    supported,
    level,
    ...(reason === undefined ? {} : { reason: ruleText(reason) }),
    results: supported ? verdicts.map((v) => v.accepted && v.broken === undefined) : none,
    compile_ms: Math.round(compileMs * 1000) / 1000,
  });
}
