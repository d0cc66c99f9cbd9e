/** Names in requests: what their ends say about where a model is. */
import { expect, test } from "bun:test";
import { splitReference } from "../../../src/model/name.ts";

test("blanks around a name are no part of it, in errors either", () => {
  expect(splitReference(" sea:local ")).toEqual({ base: "sea", source: "local" });
  expect(() => splitReference(" sea:local:cloud")).toThrow(
    'use either :local or :cloud, not both: "sea:local:cloud"',
  );
});
