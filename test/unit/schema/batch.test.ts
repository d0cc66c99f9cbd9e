/** Lines of `schema check --batch`. */
import { expect, test } from "bun:test";
import { batchAnswer, readBatchLine } from "../../../src/schema/batch.ts";

test("schema and data stay as they were written", () => {
  const text =
    '{"id":"x","schema":{"2":1,"1":2},"tests":[{"data": 9007199254740993,"valid":true},{"data":null}]}';
  expect(readBatchLine(text, 1)).toEqual({
    id: "x",
    schema: '{"2":1,"1":2}',
    tests: ["9007199254740993", "null"],
  });
});

test("what is no line is said with its number", () => {
  expect(readBatchLine("{", 3)).toStartWith("line 3: not JSON: ");
  expect(readBatchLine('{"schema":{}}', 4)).toStartWith("line 4: /id: ");
});

const line = { id: 7, schema: "{}", tests: ["1", "2"] };

test("an answer has a result for each test: accepted by both", () => {
  const rule = { pointer: "/a", keyword: "not", reason: "why" };
  const report = {
    level: "validated",
    reason: rule,
    compileMs: 1.23456,
    verdicts: [{ accepted: true }, { accepted: true, broken: rule }],
  } as const;
  expect(JSON.parse(batchAnswer(line, report))).toEqual({
    id: 7,
    supported: true,
    level: "validated",
    reason: 'at "/a": "not": why',
    results: [true, false],
    compile_ms: 1.235,
  });
});

test("nothing is accepted by a refused schema, or after an error", () => {
  const refused = { level: "refused", compileMs: 0, verdicts: [] } as const;
  expect(JSON.parse(batchAnswer(line, refused))).toMatchObject({
    supported: false,
    results: [false, false],
  });
  expect(JSON.parse(batchAnswer(line, "it crashed"))).toEqual({
    id: 7,
    supported: false,
    error: "it crashed",
    results: [false, false],
  });
});
