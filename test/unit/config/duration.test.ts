/** Go's durations: texts that are none. */
import { expect, test } from "bun:test";
import { parseGoDuration } from "../../../src/config/duration.ts";

test("a number beyond 64 bits is wrong whatever unit follows", () => {
  expect(() => parseGoDuration("9223372036854775809x")).toThrow(
    'time: invalid duration "9223372036854775809x"',
  );
  expect(() => parseGoDuration("9x")).toThrow('time: unknown unit "x" in duration "9x"');
  expect(parseGoDuration("-2562047h47m16.854775808s")).toBe(-(2n ** 63n));
});
