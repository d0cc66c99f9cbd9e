/** What keys make of a text, and how it is drawn (cli.md 7). */
import { describe, expect, test } from "bun:test";
import { PassThrough } from "node:stream";
import {
  type Edit,
  edit,
  edited,
  empty,
  insert,
  moveLine,
  picture,
  rowAfterReflow,
} from "../../../src/cli/terminal/editor.ts";
import { type Key, readKeys } from "../../../src/cli/terminal/keys.ts";

/** A text with `|` for the cursor. */
function at(text: string): Edit {
  const cursor = text.indexOf("|");
  return { text: text.replace("|", ""), cursor, cut: "" };
}

function shown({ text, cursor }: Edit): string {
  return `${text.slice(0, cursor)}|${text.slice(cursor)}`;
}

function press(name: string, modifiers: { ctrl?: boolean; meta?: boolean } = {}): Key {
  return { kind: "key", name, ctrl: modifiers.ctrl ?? false, meta: modifiers.meta ?? false };
}

function after(text: string, key: Key): string | undefined {
  const next = edit(at(text), key);
  return next === undefined ? undefined : shown(next);
}

const ctrl = (name: string) => press(name, { ctrl: true });
const alt = (name: string) => press(name, { meta: true });

describe("keys", () => {
  const cases: readonly (readonly [string, Key, string])[] = [
    ["ab|c", press("left"), "a|bc"],
    ["ab|c", ctrl("f"), "abc|"],
    ["a👨‍👩‍👧|b", press("left"), "a|👨‍👩‍👧b"],
    ["a|👨‍👩‍👧b", press("right"), "a👨‍👩‍👧|b"],
    ["é|x", press("backspace"), "|x"],
    ["|", press("backspace"), "|"],
    ["a|bc", ctrl("d"), "a|c"],
    ["one two|", ctrl("w"), "one |"],
    ["one two  |x", ctrl("w"), "one |x"],
    ["one two|", alt("b"), "one |two"],
    ["one |two three", alt("f"), "one two| three"],
    ["one |two three", alt("d"), "one | three"],
    ["first\nsec|ond", ctrl("a"), "first\n|second"],
    ["fir|st\nsecond", ctrl("e"), "first|\nsecond"],
    ["fir|st\nsecond", ctrl("k"), "fir|\nsecond"],
    ["first\nsec|ond", ctrl("u"), "first\n|ond"],
    ["ab|", ctrl("t"), "ba|"],
    ["a|b", ctrl("t"), "ba|"],
  ];
  for (const [before, key, then] of cases) {
    const { ctrl: c, meta, name } = key as Extract<Key, { kind: "key" }>;
    test(`${c ? "Ctrl-" : ""}${meta ? "Alt-" : ""}${name} on ${JSON.stringify(before)}`, () => {
      expect(after(before, key)).toBe(then);
    });
  }

  test("what was cut can be put back", () => {
    const cut = edit(at("keep drop|"), ctrl("w"));
    const home = cut && edit(cut, ctrl("a"));
    const back = home && edit(home, ctrl("y"));
    expect(back && shown(back)).toBe("drop|keep ");
  });

  test("a pasted text goes in as it is, with its line ends", () => {
    expect(after("a|b", { kind: "paste", text: "1\n2" })).toBe("a1\n2|b");
  });

  test("unknown keys do nothing", () => {
    expect(after("a|", press("f5"))).toBeUndefined();
  });

  test("up and down keep the column, and end at the edges", () => {
    const up = moveLine(at("long line\nsh\nan|other"), -1);
    expect(up && shown(up)).toBe("long line\nsh|\nanother");
    const top = up && moveLine(up, -1);
    expect(top && shown(top)).toBe("lo|ng line\nsh\nanother");
    expect(top && moveLine(top, -1)).toBeUndefined();
    expect(moveLine(at("one|"), 1)).toBeUndefined();
    const down = moveLine(at("o|ne\ntwo"), 1);
    expect(down && shown(down)).toBe("one\nt|wo");
  });
});

describe("drawing", () => {
  const prompts = { first: ">>> ", more: "... " };

  test("the cursor stands behind the prompt of an empty text", () => {
    expect(picture(empty, prompts, 20)).toEqual({ rows: [">>> "], row: 0, column: 4 });
  });

  test("lines are broken at the edge, also behind the last character", () => {
    expect(picture(edited("abcdef"), prompts, 10)).toEqual({
      rows: [">>> abcdef", ""],
      row: 1,
      column: 0,
    });
    expect(picture(edited("abcdefg"), prompts, 10)).toEqual({
      rows: [">>> abcdef", "g"],
      row: 1,
      column: 1,
    });
  });

  test("a wide letter that does not fit goes to the next row", () => {
    expect(picture(edited("abcde模"), prompts, 10)).toEqual({
      rows: [">>> abcde", "模"],
      row: 1,
      column: 2,
    });
  });

  test("further lines have their own prompt", () => {
    expect(picture(at("one\nt|wo"), prompts, 20)).toEqual({
      rows: [">>> one", "... two"],
      row: 1,
      column: 5,
    });
  });

  test("a resized terminal breaks what was drawn, row by row", () => {
    const row = (columns: number) => {
      const drawn = picture(edited("日本語日本語日本語日本語abc"), prompts, 20);
      expect(drawn).toMatchObject({ row: 1, column: 11 });
      return rowAfterReflow(drawn, columns);
    };
    expect([row(40), row(20), row(19), row(15), row(10), row(7)]).toEqual([1, 1, 2, 2, 3, 5]);
  });
});

describe("bytes from a terminal", () => {
  function keysOf(...chunks: string[]): Key[] {
    const input = new PassThrough();
    const keys: Key[] = [];
    const end = readKeys(input as unknown as NodeJS.ReadStream, (key) => keys.push(key));
    for (const chunk of chunks) input.emit("data", Buffer.from(chunk));
    end();
    return keys;
  }

  test("become characters and keys", () => {
    expect(keysOf("aé模🙂", "\x1b[A", "\x1b[1;5D", "\x1bb", "\r", "\x03")).toEqual([
      { kind: "text", text: "a" },
      { kind: "text", text: "é" },
      { kind: "text", text: "模" },
      { kind: "text", text: "🙂" },
      { kind: "key", name: "up", ctrl: false, meta: false },
      { kind: "key", name: "left", ctrl: true, meta: false },
      { kind: "key", name: "b", ctrl: false, meta: true },
      { kind: "key", name: "return", ctrl: false, meta: false },
      { kind: "key", name: "c", ctrl: true, meta: false },
    ]);
  });

  test("a paste is one text; its line ends are no Enter, its control characters are gone", () => {
    expect(keysOf("\x1b[200~one\r\ntwo\r", "three\x07\x1b[201~x")).toEqual([
      { kind: "paste", text: "one\ntwo\nthree" },
      { kind: "text", text: "x" },
    ]);
  });
});

test("a long paste is inserted at once", () => {
  const text = "line\n".repeat(100_000);
  expect(insert(at("a|b"), text).text.length).toBe(500_002);
});
