/** Tables, to the blank (cli.md 5). */
import { expect, test } from "bun:test";
import { section, table } from "../../../src/cli/table.ts";

test("header cells are 4 apart, the last with one blank; row cells are each followed by 4", () => {
  expect(
    table(
      ["NAME", "SIZE"],
      [
        ["llama3.2:latest", "2 GB"],
        ["a", "10 MB"],
      ],
    ),
  ).toBe(
    "NAME               SIZE  \n" +
      "llama3.2:latest    2 GB     \n" +
      "a                  10 MB    \n",
  );
});

test("no rows leave the header", () => {
  expect(table(["NAME", "ID"], [])).toBe("NAME    ID \n");
});

test("East-Asian letters take two columns", () => {
  expect(table(["NAME"], [["模型"], ["abcde"]])).toBe("NAME  \n模型     \nabcde    \n");
});

test("long cells of a section break at blanks, long words widen the column", () => {
  expect(section("System", [["one two three", "x"]], 8)).toBe(
    "  System\n    one two    x    \n    three           \n\n",
  );
  expect(section("System", [["incomprehensible word"]], 8)).toBe(
    "  System\n    incomprehensible    \n    word                \n\n",
  );
});

test("a section without rows is its title", () => {
  expect(section("Metadata", [])).toBe("  Metadata\n\n");
});
