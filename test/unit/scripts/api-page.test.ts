/** The page of the API is what the list of operations makes of it. */
import { expect, test } from "bun:test";
import { apiPage } from "../../../scripts/api-page.ts";

test("docs/api.md is what `bun run docs` writes", async () => {
  const page = Bun.file(new URL("../../../docs/api.md", import.meta.url));
  expect(await page.text()).toBe(apiPage());
});
