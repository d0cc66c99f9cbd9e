/** From the fields of a request to a constraint. */
import { expect, test } from "bun:test";
import { InvalidRequestError, OptionError } from "../../../src/errors.ts";
import { formatWish, JsonText } from "../../../src/schema/wish.ts";

const json = (text: string) => new JsonText(JSON.parse(text), text);

test("absent, null and empty formats are none", () => {
  for (const fields of [{}, { format: json("null") }, { format: json('""') }, { strict: false }]) {
    expect(formatWish(fields)).toBeUndefined();
  }
});

test("json is any object", () => {
  expect(formatWish({ format: json('"json"') })).toEqual({
    field: "format",
    constraint: { kind: "schema", text: '{"type":"object"}' },
    strict: false,
    tellsMore: false,
  });
});

test("a schema is the client's own text", () => {
  const text = '{"properties":{"10":{"const":9007199254740993},"2":{}}}';
  expect(formatWish({ format: json(text), strict: true })).toEqual({
    field: "format",
    constraint: { kind: "schema", text },
    strict: true,
    tellsMore: true,
  });
});

test("a number written with blanks is quoted as it was sent", () => {
  const wrong = () => formatWish({ format: json("[1, 2]") });
  expect(wrong).toThrow(
    new OptionError('invalid format: "[1, 2]"; expected "json" or a valid JSON Schema object'),
  );
});

test("hutch's own fields", () => {
  expect(formatWish({ regex: "[0-9]+" })?.constraint).toEqual({ kind: "regex", text: "[0-9]+" });
  expect(formatWish({ choice: ["a", "b"] })?.constraint).toEqual({
    kind: "choice",
    text: '["a","b"]',
  });
  expect(formatWish({ grammar: 'start: "a"' })?.constraint.text).toBe('start: "a"');
  expect(formatWish({ grammar: 'root ::= "a"' })?.constraint.text).toBe('start: "a"\n');
});

test("strict asks for a form", () => {
  for (const fields of [{}, { format: json("null") }]) {
    expect(() => formatWish({ ...fields, strict: true })).toThrow(
      new InvalidRequestError(
        "strict: expected one of format, grammar, regex, choice beside it, got none",
      ),
    );
  }
  expect(formatWish({ choice: ["a"], strict: true })).toMatchObject({ strict: true });
});

test("two constraints, or choices of nothing, are refused", () => {
  expect(() => formatWish({ format: json('"json"'), regex: "a" })).toThrow(
    new InvalidRequestError("format and regex exclude each other"),
  );
  for (const choice of [[], ["a", ""]]) {
    expect(() => formatWish({ choice })).toThrow(InvalidRequestError);
  }
});
