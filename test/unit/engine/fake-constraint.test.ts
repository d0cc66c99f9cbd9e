/** Constraints of the fake engine: what it answers is valid, what it cannot answer it refuses. */
import { describe, expect, test } from "bun:test";
import { fakeReport, obedientText } from "../../../src/engine/fake-constraint.ts";

const schema = (value: unknown) => ({ kind: "schema", text: JSON.stringify(value) }) as const;

/** A report on the engine's own answer. */
function obeyed(constraint: Parameters<typeof obedientText>[0]) {
  const text = obedientText(constraint);
  const { level, verdicts } = fakeReport(constraint, [text]);
  return { level, accepted: verdicts[0]?.accepted };
}

const node = {
  type: "object",
  properties: {
    value: { type: "integer", minimum: 5, maximum: 9 },
    next: { anyOf: [{ $ref: "#/$defs/node" }, { type: "null" }] },
  },
  required: ["value", "next"],
  additionalProperties: false,
};

describe("the fake engine's constraints", () => {
  test.each([
    ["recursion", { $defs: { node }, $ref: "#/$defs/node" }, "enforced"],
    ["a pattern", { type: "string", pattern: "^[A-Z]{3}-\\d{4}$" }, "enforced"],
    ["formats", { type: "array", items: { format: "date-time", type: "string" } }, "enforced"],
    ["choices", { oneOf: [{ const: 1 }, { type: "string", minLength: 3 }] }, "enforced"],
    ["all of it", { allOf: [node, { required: ["value"] }], $defs: { node } }, "enforced"],
    ["a condition", { type: "string", not: { maxLength: 3 } }, "validated"],
    ["a property named not", { properties: { not: { type: "integer" } } }, "enforced"],
    ["draft 7", { $schema: "http://json-schema.org/draft-07/schema#", type: "null" }, "enforced"],
  ] as const)("obeys a schema with %s", (_, value, level) => {
    expect(obeyed(schema(value))).toEqual({ level, accepted: true });
  });

  test("obeys expressions and choices", () => {
    expect(obeyed({ kind: "regex", text: "a[0-9]{2}|b" })).toMatchObject({ accepted: true });
    expect(obeyed({ kind: "choice", text: '["yes","no"]' })).toMatchObject({ accepted: true });
  });

  test.each([
    ["one that nothing fits", schema({ type: "integer", minimum: 5, maximum: 3 })],
    ["a part that lies elsewhere", schema({ $ref: "https://example.com/schema.json" })],
    ["no object", schema([])],
    ["no JSON", { kind: "schema", text: "{" } as const],
    ["a grammar", { kind: "lark", text: "start: /a/" } as const],
    ["an expression that is none", { kind: "regex", text: "(" } as const],
  ])("refuses %s", (_, constraint) => {
    expect(fakeReport(constraint, [])).toMatchObject({
      level: "refused",
      reason: { reason: expect.stringMatching(/./) },
    });
    expect(() => obedientText(constraint)).toThrow();
  });

  test("names the rule that a text breaks, and where", () => {
    const list = schema({ properties: { a: { items: { maximum: 3 } } }, required: ["a"] });
    const { verdicts } = fakeReport(list, ['{"a":[1,7]}', "{}", '{"a":[1]}']);
    expect(verdicts).toMatchObject([
      { accepted: false, broken: { pointer: "/a/1", keyword: "maximum" } },
      { accepted: false, broken: { keyword: "required" } },
      { accepted: true },
    ]);
  });
});
