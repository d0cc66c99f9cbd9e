/** Parts of JSON texts stay as they were written. */
import { expect, test } from "bun:test";
import { compactText, itemTexts, memberText } from "../../../src/schema/json-text.ts";

const named = (name: string) => (key: string) => key === name;

test("a member's text keeps the order of its keys and its digits", () => {
  const schema = '{"10": 9007199254740993, "2":\t1.0}';
  const body = `{"model":"m","n":[1,{"format":2}], "format" : ${schema} }`;
  expect(memberText(body, named("format"))).toBe(schema);
});

test("of members with one name the last one that is not null counts", () => {
  expect(memberText('{"a":1,"\\u0061":"2","a":null}', named("a"))).toBe('"2"');
  expect(memberText('{"b":1}', named("a"))).toBeUndefined();
  expect(memberText("[1]", named("a"))).toBeUndefined();
});

test("strings with brackets, quotes and escapes are one piece", () => {
  const text = String.raw`{"a":"}]\"{[:,\\","b":[ "x y" , 1e2 ]}`;
  expect(memberText(text, named("a"))).toBe(String.raw`"}]\"{[:,\\"`);
  expect(itemTexts(memberText(text, named("b")) ?? "")).toEqual(['"x y"', "1e2"]);
});

test("items of lists", () => {
  expect(itemTexts(' [ {"a":[1,2]} , [] ,null]')).toEqual(['{"a":[1,2]}', "[]", "null"]);
  expect(itemTexts("[]")).toEqual([]);
  expect(itemTexts('{"a":[1]}')).toEqual([]);
});

test("compact text loses blanks between tokens and needless escapes, nothing else", () => {
  const text = String.raw`{ "a b" : [ 1.0 , "\t \u00e9\ud83d" ], "2": 9007199254740993 }`;
  const compact = '{"a b":[1.0,"\\t é\\ud83d"],"2":9007199254740993}';
  expect(compactText(text)).toBe(compact);
});
