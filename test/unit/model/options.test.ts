/** Options that vectors of the real program say nothing of. */
import { describe, expect, test } from "bun:test";
import { resolveOptions } from "../../../src/model/options.ts";

describe("options", () => {
  test.each([
    ["num_predict", Number.POSITIVE_INFINITY, 'option "num_predict" must be of type integer'],
  ])("%s beyond its numbers is refused", (name, value, message) => {
    expect(() => resolveOptions({ [name]: value })).toThrow(message);
  });
});
