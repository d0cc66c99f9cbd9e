/** From tokens to pieces of text: whole characters, stop texts. */
import { describe, expect, test } from "bun:test";
import { TextAssembler } from "../../../src/engine/runner/text.ts";

function assemble(
  text: string,
  size: number,
  stops: readonly string[],
): { text: string; stopped: boolean } {
  const bytes = new TextEncoder().encode(text);
  const assembler = new TextAssembler(stops);
  let out = "";
  for (let at = 0; at < bytes.length; at += size) {
    const piece = assembler.push(bytes.slice(at, at + size));
    expect(piece.text).not.toContain("\ufffd");
    out += piece.text;
    if (piece.stopped) return { text: out, stopped: true };
  }
  return { text: out + assembler.end(), stopped: false };
}

describe("text of tokens", () => {
  for (const size of [1, 2, 3, 7]) {
    test(`whole characters come out of pieces of ${size} bytes`, () => {
      expect(assemble("Zoë 日本 🍎!", size, ["nothing"])).toEqual({
        text: "Zoë 日本 🍎!",
        stopped: false,
      });
    });
    test(`the earliest stop text ends the answer in pieces of ${size} bytes`, () => {
      expect(assemble("one <en two <end> three", size, ["three", "<end>"])).toEqual({
        text: "one <en two ",
        stopped: true,
      });
    });
  }
});

test("a token that shows nothing of its own, because all of it is a stop text's, says so", () => {
  const pieces = (stop: string) => {
    const assembler = new TextAssembler([stop]);
    return ["He", "om ", "the"].map((text) => assembler.push(new TextEncoder().encode(text)));
  };
  const before = [
    { text: "He", stopped: false },
    { text: "", stopped: false },
  ];
  expect(pieces(" the")).toEqual([...before, { text: "om", stopped: true, swallowed: true }]);
  expect(pieces("m t").at(-1)).toEqual({ text: "o", stopped: true, swallowed: true });
  expect(pieces("he").at(-1)).toEqual({ text: "t", stopped: true });
});
