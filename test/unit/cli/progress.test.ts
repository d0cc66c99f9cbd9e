/** Progress on stderr: plain lines in a log, a picture in a terminal (cli.md 6). */
import { describe, expect, test } from "bun:test";
import { follow, Progress } from "../../../src/cli/terminal/progress.ts";
import { testContext } from "../../support/command-line.ts";
import { until } from "../../support/executable.ts";

async function* lines(...objects: Record<string, unknown>[]) {
  yield* objects;
}

const digest = `sha256:${"a".repeat(64)}`;

describe("outside a terminal", () => {
  test("each status is a line, a transfer one at its end", async () => {
    const context = testContext();
    {
      using progress = new Progress(context);
      const transfer = { status: "pulling aaaaaaaaaaaa", digest, total: 2_000_000 };
      await follow(
        progress,
        lines(
          { status: "pulling manifest" },
          { status: "pulling manifest" },
          transfer,
          { ...transfer, completed: 1_000_000 },
          { ...transfer, completed: 2_000_000 },
          { ...transfer, completed: 2_000_000 },
          { status: "success" },
        ),
        (_, digits) => `pulling ${digits}:`,
      );
    }
    expect(context.printed).toEqual({
      out: "",
      note: "pulling manifest\npulling aaaaaaaaaaaa: 100% 2 MB\nsuccess\n",
    });
  });

  test("a long transfer says every five seconds how far it is", () => {
    const context = testContext();
    let now = 0;
    using progress = new Progress(context, { now: () => now });
    for (; now <= 12_000; now += 1000) progress.transfer("a", "pulling a:", now, 20_000);
    expect(context.printed.note).toBe(
      "pulling a: 25% 5 KB/20 KB 1 KB/s 15s\npulling a: 50% 10 KB/20 KB 1 KB/s 10s\n",
    );
  });

  test("a copied file ends with 100%", () => {
    const context = testContext();
    using progress = new Progress(context, { now: () => 0 });
    for (const bytes of [10, 20, 30]) progress.copy(digest, bytes, 30);
    expect(context.printed.note).toBe(`copying file ${digest} 100%\n`);
  });

  test("--quiet shows nothing", () => {
    const context = testContext();
    using progress = new Progress(context, { quiet: true });
    progress.status("pulling manifest");
    progress.transfer("a", "pulling a:", 1, 1);
    expect(context.printed.note).toBe("");
  });
});

describe("in a terminal", () => {
  test("what is over stays, what goes on is redrawn in place", async () => {
    const context = testContext({ terminal: true, columns: 60 });
    {
      using progress = new Progress(context);
      progress.status("first");
      await until("a picture of the spinner", () =>
        /first [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/.test(context.printed.note),
      );
      progress.status("second");
    }
    const plain = Bun.stripANSI(context.printed.note);
    expect(plain).toMatch(/first [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]\n+first\n/);
    expect(plain).toEndWith("second\n");
    // Whoever hides the cursor shows it again.
    expect(context.printed.note.lastIndexOf("\x1b[?25h")).toBeGreaterThanOrEqual(
      context.printed.note.lastIndexOf("\x1b[?25l"),
    );
  });

  test("is drawn ten times a second at most, however fast news come", async () => {
    const context = testContext({ terminal: true, columns: 80 });
    const pictures = () => context.printed.note.split("pulling a:").length - 1;
    using progress = new Progress(context);
    const begin = performance.now();
    let completed = 0;
    await until("six pictures", () => {
      for (let more = 0; more < 100; more++) {
        progress.transfer("a", "pulling a:", ++completed, 10_000_000);
      }
      return pictures() >= 6;
    });
    // Five whole pauses lie between six pictures; a timer may be some milliseconds early.
    expect(performance.now() - begin).toBeGreaterThan(450);
    expect(completed).toBeGreaterThan(600);
  });

  test.each([8, 20, 40])(
    "no line is longer than %i columns, and nothing is coloured",
    async (columns) => {
      const context = testContext({ terminal: true, columns });
      {
        using progress = new Progress(context);
        progress.transfer("a", "pulling aaaaaaaaaaaa:", 50_000_000, 200_000_000);
        progress.transfer("b", "pulling bbbbbbbbbbbb:", 60_000_000, 200_000_000);
        await until("a picture", () => context.printed.note !== "");
      }
      const lines = Bun.stripANSI(context.printed.note).split("\n");
      expect(Math.max(...lines.map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(columns);
      // No sequence of colours, with NO_COLOR or without.
      expect(context.printed.note.split("\x1b[").filter((part) => /^[\d;]*m/.test(part))).toEqual(
        [],
      );
    },
  );

  test("clear leaves no trace", async () => {
    const context = testContext({ terminal: true });
    const progress = new Progress(context);
    progress.status("loading");
    progress.clear();
    await import("log-update");
    expect(context.printed.note).toBe("");
  });
});
