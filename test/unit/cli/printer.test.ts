/** How answers are printed (cli.md 4.2). */
import { describe, expect, test } from "bun:test";
import { Printer } from "../../../src/cli/terminal/printer.ts";
import { type Surroundings, testContext } from "../../support/command-line.ts";

function print(
  surroundings: Surroundings,
  steps: (printer: Printer) => void,
  settings = { hideThinking: false, wordWrap: true },
): string {
  const context = testContext(surroundings);
  const printer = new Printer(context, settings);
  steps(printer);
  printer.end();
  return context.printed.out;
}

/** What a terminal shows of a text whose last words were moved to the next line. */
function shown(text: string): string {
  let out = "";
  let rest = text;
  for (;;) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the control sequence of a moved word
    const move = /\x1b\[(\d+)D\x1b\[K\n/.exec(rest);
    if (move === null) return (out + rest).replace(/ +$/gm, "");
    const before = out + rest.slice(0, move.index);
    out = `${before.slice(0, before.length - Number(move[1]))}\n`;
    rest = rest.slice(move.index + move[0].length);
  }
}

describe("outside a terminal", () => {
  test("a text is passed on untouched, however long", () => {
    const text = `${"word ".repeat(100)}\nend`;
    expect(print({}, (printer) => printer.text(text))).toBe(text);
  });

  test("thinking is set apart by plain lines", () => {
    const steps = (printer: Printer) => {
      printer.thinking("Let me ");
      printer.thinking("see.");
      printer.text("Yes.");
    };
    expect(print({}, steps)).toBe("Thinking...\nLet me see.\n...done thinking.\n\nYes.");
    expect(print({}, steps, { hideThinking: true, wordWrap: true })).toBe("Yes.");
  });

  test("thinking without an answer has no end", () => {
    expect(print({}, (printer) => printer.thinking("Hm"))).toBe("Thinking...\nHm");
  });
});

describe("in a terminal", () => {
  const narrow = { terminal: true, columns: 20 };

  test("words move to the next line whole, in whatever pieces they come", () => {
    const text = "the quick brown fox jumps over the lazy dog";
    const whole = print(narrow, (printer) => printer.text(text));
    const pieces = print(narrow, (printer) => {
      for (const character of text) printer.text(character);
    });
    expect(shown(whole)).toBe("the quick brown\nfox jumps over\nthe lazy dog");
    expect(shown(pieces)).toBe(shown(whole));
  });

  test("every character is out at once: nothing waits for the end of a word", () => {
    const context = testContext(narrow);
    new Printer(context, { hideThinking: false, wordWrap: true }).text("unfini");
    expect(context.printed.out).toBe("unfini");
  });

  test("wide letters break anywhere and count twice", () => {
    const text = print(narrow, (printer) => printer.text("模型模型模型模型模型"));
    expect(text).toBe("模型模型模型模\n型模型");
  });

  test("a word longer than the line is left to the terminal", () => {
    const word = "x".repeat(50);
    expect(print(narrow, (printer) => printer.text(word))).toBe(word);
  });

  test("a family of emoji is one character", () => {
    const family = "👨‍👩‍👧";
    const text = print(narrow, (printer) => printer.text(`${"a".repeat(14)}${family}`));
    expect(text).toBe(`${"a".repeat(14)}\n${family}`);
  });

  test("nowordwrap changes nothing", () => {
    const text = "the quick brown fox jumps over the lazy dog";
    expect(
      print(narrow, (printer) => printer.text(text), { hideThinking: false, wordWrap: false }),
    ).toBe(text);
  });

  test("thinking is grey; with NO_COLOR it is dim", () => {
    const steps = (printer: Printer) => {
      printer.thinking("Hm");
      printer.text("Yes");
    };
    expect(print({ terminal: true }, steps)).toBe(
      "\x1b[38;5;245mThinking...\nHm\n...done thinking.\n\n\x1b[0mYes",
    );
    expect(print({ terminal: true, env: { NO_COLOR: "1" } }, steps)).toBe(
      "\x1b[2mThinking...\nHm\n...done thinking.\n\n\x1b[0mYes",
    );
  });

  test("an answer that breaks off in thinking leaves the terminal plain", () => {
    expect(print({ terminal: true }, (printer) => printer.thinking("Hm"))).toEndWith("\x1b[0m");
  });
});
