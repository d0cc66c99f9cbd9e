/** GBNF in the engine's Lark. */
import { expect, test } from "bun:test";
import { InvalidRequestError } from "../../../src/errors.ts";
import { gbnfToLark, looksLikeGbnf } from "../../../src/schema/gbnf.ts";

test("the two languages are told apart", () => {
  expect(looksLikeGbnf('root ::= "a"')).toBe(true);
  expect(looksLikeGbnf('# a comment\n\nroot-x  ::= "a"')).toBe(true);
  expect(looksLikeGbnf('start: "a::=b"')).toBe(false);
});

test("names, literals, classes, repetitions and groups are translated", () => {
  const gbnf = String.raw`# moves of chess
root  ::= move ("," move){0,3} end?  # a comment
move  ::= [a-h] [^1-8\]]* | "O-O"
        | "x\n\x41"
end   ::= .`;
  expect(gbnfToLark(gbnf)).toBe(
    [
      'start: r1_move ("," r1_move){0,3} r2_end?',
      String.raw`r1_move: /[\x{61}-\x{68}]/ /[^\x{31}-\x{38}\x{5d}]/* | "O-O" | "x\nA"`,
      "r2_end: /(?s:.)/",
      "",
    ].join("\n"),
  );
});

test("a rule may begin on the next line and have an empty choice", () => {
  expect(gbnfToLark('root ::= (\n "a"\n | "b"\n) |\n')).toBe('start: ("a" | "b") | ""\n');
});

test.each([
  ['move ::= "a"', 'grammar: there is no rule "root"'],
  ['root ::= "a', "grammar: line 1: a literal does not end"],
  ['root ::= "a"\nx ::= [a', "grammar: line 2: a character class does not end"],
  ['root ::= ("a"', 'grammar: line 1: ")" was expected'],
  ['root ::= "a"{x}', "grammar: line 1: a repetition is {n}, {n,} or {n,m}"],
  ['root ::= "a" )', "grammar: line 1: a rule's name was expected"],
  [`root ::= ${"(".repeat(300)}`, "grammar: line 1: groups are nested too deep"],
])("%j is refused with its line", (gbnf, message) => {
  expect(() => gbnfToLark(gbnf)).toThrow(new InvalidRequestError(message));
});
