/** The table of what named parsers read says what the parsers say. */
import { expect, test } from "bun:test";
import { parserNamed } from "../../src/chat/parsers/table.ts";
import { parserTraits } from "../../src/model/parser-traits.ts";

test("every named parser is in the table of traits, and says the same about itself", () => {
  for (const [name, traits] of parserTraits) {
    const parser = parserNamed(name);
    expect({ name, tools: parser?.tools, thinking: parser?.thinking }).toEqual({ name, ...traits });
  }
});

test("the table of traits has every named parser", async () => {
  const source = await Bun.file(new URL("../../src/chat/parsers/table.ts", import.meta.url)).text();
  const listed = /const parsers[^{]*\{([\s\S]*?)\n\};/.exec(source)?.[1] ?? "";
  const names = [...listed.matchAll(/^\s*"?([\w.-]+)"?[,:]/gm)].map((match) => match[1] ?? "");
  expect(names.toSorted()).toEqual([...parserTraits.keys()].toSorted());
});
