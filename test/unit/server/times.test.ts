/** Times on the wire (api.md 1.3). */
import { expect, test } from "bun:test";
import { localTime, utcTime } from "../../../src/server/ollama/times.ts";

test("a time has as many digits of a second as it needs, at most six", () => {
  const moment = Date.UTC(2026, 10, 22, 22, 10, 4);
  expect([0, 250, 251.5, 0.001, 999.999].map((more) => utcTime(moment + more))).toEqual([
    "2026-11-22T22:10:04Z",
    "2026-11-22T22:10:04.25Z",
    "2026-11-22T22:10:04.2515Z",
    expect.stringMatching(/^2026-11-22T22:10:04(\.000001)?Z$/),
    expect.stringMatching(/^2026-11-22T22:10:04\.99999[89]Z$/),
  ]);
});

test("times of now rise, and are those of the clock", () => {
  const before = Date.now();
  const times = Array.from({ length: 1000 }, () => Date.parse(utcTime()));
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(Math.abs((times[0] ?? 0) - before)).toBeLessThan(1000);
});

test("local times name the same moment", () => {
  const moment = Date.UTC(2318, 0, 2, 3, 4, 5, 60);
  expect(Date.parse(localTime(moment))).toBe(moment);
  expect(localTime(moment)).toMatch(/(Z|[+-]\d\d:\d\d)$/);
});
