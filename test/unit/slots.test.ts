/** Slots of a model: what is counted before it grows is what happens when it does. */
import { describe, expect, test } from "bun:test";
import { nextSlots, slotsAtOnce, slotsBefore } from "../../src/slots.ts";

const counts = Array.from({ length: 64 }, (_, i) => i + 1);

/** All numbers of slots that a model can come to, from one, however many requests wait. */
function reachable(most: number): number[] {
  const found = new Set([1]);
  for (const present of found) {
    if (present === most) continue;
    for (const waiting of counts) found.add(nextSlots(present, waiting, most));
  }
  return [...found].sort((a, b) => a - b);
}

describe("slots", () => {
  test("become a few, then twice as many, up to the most, at once where many wait", () => {
    expect(reachable(32)).toEqual([1, 4, 8, 16, 32]);
    expect(reachable(24)).toEqual([1, 4, 8, 16, 24]);
    expect(reachable(3)).toEqual([1, 3]);
    expect([nextSlots(1, 0, 32), nextSlots(4, 1, 32), nextSlots(4, 20, 32)]).toEqual([4, 8, 32]);
  });

  test("are never more before the last growth than is counted", () => {
    for (const most of counts.slice(1)) {
      const before = reachable(most).filter((present) => present < most);
      expect([most, Math.max(...before)]).toEqual([most, slotsBefore(most)]);
    }
  });

  test("are set aside at once for half a million tokens, and at least one", () => {
    expect([slotsAtOnce(4096, 32), slotsAtOnce(4096, 64)]).toEqual([32, 64]);
    expect([slotsAtOnce(16_384, 64), slotsAtOnce(16_385, 64)]).toEqual([32, 31]);
    expect([slotsAtOnce(1_000_000, 4), slotsAtOnce(1, 3)]).toEqual([1, 3]);
  });
});
