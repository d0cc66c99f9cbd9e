/** The history of chats (cli.md 7). */
import { expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { History } from "../../../src/cli/chat/history.ts";
import { temporaryFolder } from "../../support/executable.ts";

test("entries are kept one a line, the newest hundred, readable by the user alone", async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "new", "history");
  const history = new History(file, true);
  for (let i = 0; i < 120; i++) history.add(`entry ${i}`);
  history.add("two\nlines");
  const lines = (await Bun.file(file).text()).split("\n").slice(0, -1);
  expect({ count: lines.length, first: lines[0], last: lines.at(-1) }).toEqual({
    count: 100,
    first: "entry 21",
    last: "two lines",
  });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(history.entries.at(-1)).toBe("two\nlines");
  expect(new History(file, true).entries).toEqual(lines);
});

test("nothing is kept when it is off, blank, or said twice in a row", async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "history");
  const off = new History(file, false);
  off.add("secret");
  expect({ entries: off.entries, written: await Bun.file(file).exists() }).toEqual({
    entries: [],
    written: false,
  });
  const on = new History(file, true);
  for (const text of ["a", "a", "  ", "b", "a"]) on.add(text);
  expect(on.entries).toEqual(["a", "b", "a"]);
});

test("a file that cannot be written is told, not thrown", async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "file");
  await Bun.write(file, "");
  expect(new History(join(file, "history"), true).add("a")).toContain("cannot keep history");
});
