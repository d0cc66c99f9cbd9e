/** Prompts in pieces become tokens; special ones only where a piece holds their whole text. */
import { describe, expect, test } from "bun:test";
import type { TextPart } from "../../../src/engine/engine.ts";
import {
  type PromptToken,
  PromptTokenizer,
  textsOf,
} from "../../../src/engine/runner/prompt-tokens.ts";
import { SpecialTexts } from "../../../src/engine/special-texts.ts";

const special = (id: number, text: string, more: Partial<PromptToken> = {}): PromptToken => ({
  id,
  text,
  stripsLeft: false,
  stripsRight: false,
  control: true,
  added: false,
  ...more,
});

const start = special(9001, "<|start|>");
const end = special(9002, "<|end|>");
const codes = (text: string) => Array.from(text, (letter) => letter.codePointAt(0) ?? 0);

/** Characters are tokens; every call is written down. */
function tokenizer(specials: readonly PromptToken[], merged: Record<string, number> = {}) {
  const calls: [string, boolean][] = [];
  const prompts = new PromptTokenizer({
    specials,
    tokenize: (text, parseSpecial) => {
      calls.push([text, parseSpecial]);
      const known = merged[text];
      return Int32Array.from(known === undefined ? codes(text) : [known]);
    },
    spell: codes,
  });
  const tokens = (...parts: TextPart[]) =>
    prompts.tokens(parts).flatMap((part) => Array.from(part));
  return { calls, prompts, tokens };
}

const text = (value: string, parseSpecial = true): TextPart => ({ text: value, parseSpecial });

describe("pieces of a prompt", () => {
  test("without special texts across their borders are one text", () => {
    const { calls, tokens } = tokenizer([start, end]);
    tokens(text("<|start|>a"), text("b < c"), text("|<|end|>"));
    expect(calls).toEqual([["<|start|>ab < c|<|end|>", true]]);
  });

  test("a special text that a border cuts is plain, others stay special", () => {
    const { calls, tokens } = tokenizer([start, end]);
    const found = tokens(text("<|start|>x<"), text("|end|>y<|end|>"));
    expect(found).toEqual([9001, ...codes("x<|end|>y"), 9002]);
    expect(calls).toEqual([["x<|end|>y", false]]);
  });

  test("a piece without special tokens has none, wherever their text stands", () => {
    const { tokens } = tokenizer([start, end]);
    expect(tokens(text("<|start|>"), text("<|end|>", false), text("<|end|>"))).toEqual([
      9001,
      ...codes("<|end|>"),
      9002,
    ]);
  });

  test("can be cut before they are put together, with the same tokens", () => {
    const { calls, prompts, tokens } = tokenizer([start, end]);
    const parts = [
      text("<|start|>a"),
      text("b<|end|>", false),
      { tokens: [9002, 7] },
      text("c<|end|>"),
      text("<|start|>b<|end|>", false),
      text("<|end|>"),
    ];
    const atOnce = tokens(...parts);
    const plan = prompts.plan(parts);
    const wanted = textsOf(plan);
    expect(wanted.map((one) => [one.text, one.parseSpecial] as [string, boolean])).toEqual(calls);
    const cut = wanted.map((one) => Int32Array.from(codes(one.text)));
    const later = prompts.assemble(plan, () => cut.shift() ?? new Int32Array(0));
    expect(later.flatMap((part) => Array.from(part))).toEqual(atOnce);
    expect(cut).toEqual([]);
  });

  test("tokens stay as they are between texts", () => {
    const { calls, tokens } = tokenizer([start, end]);
    expect(tokens(text("a"), { tokens: [9002, 7] }, text("b"))).toEqual([97, 9002, 7, 98]);
    expect(calls).toEqual([
      ["a", true],
      ["b", true],
    ]);
  });

  test("white space that a special token swallows is swallowed", () => {
    const { calls, tokens } = tokenizer([
      special(9001, "<|start|>", { stripsRight: true }),
      special(9002, "<|end|>", { stripsLeft: true }),
    ]);
    tokens(text("<|start|>\n x<"), text("|end|> y \n<|end|>z"));
    expect(calls).toEqual([
      ["x<|end|> y", false],
      ["z", false],
    ]);
  });

  test("an added word stays a token where it stands whole, and is spelled where it is cut", () => {
    const { tokens } = tokenizer([special(7, "<call>", { added: true })], { "<call>": 7 });
    expect(tokens(text("<call>"))).toEqual([7]);
    expect(tokens(text("<"), text("call>"))).toEqual(codes("<call>"));
  });

  test("a control token that a vocabulary puts together from plain text is spelled", () => {
    const { tokens } = tokenizer([special(2, "</s>")], { "</s>": 2 });
    expect(tokens(text("</s>", false))).toEqual(codes("</s>"));
  });
});

test("the longest special text at a place is found", () => {
  const texts = new SpecialTexts(["<s", "<s>", "</s>", ""]);
  expect(texts.find("a<s>b")).toEqual({ at: 1, length: 3 });
  expect(texts.find("a<s>b", 2)).toBeUndefined();
  expect(texts.lengthAt("<sx", 0)).toBe(2);
});
