/** The page of variables is what the table makes of it. */
import { expect, test } from "bun:test";
import { variablesPage } from "../../../src/config/document.ts";

test("docs/variables.md is what `bun run docs` writes", async () => {
  const page = Bun.file(new URL("../../../docs/variables.md", import.meta.url));
  expect(await page.text()).toBe(variablesPage());
});
