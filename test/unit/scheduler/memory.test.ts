/** Whether there is memory for a model, and what a refusal says. */
import { describe, expect, test } from "bun:test";
import {
  admit,
  type Holding,
  holdingOf,
  type MemoryLimit,
  refusal,
  roomFor,
  slotsAlone,
} from "../../../src/scheduler/memory.ts";

/** A model of 100 bytes and 10 for each slot. */
const need = (slots: number) => ({
  lines: [
    { what: "weights", bytes: 100 },
    { what: "kv cache", bytes: 10 * slots },
  ],
  held: 100 + 10 * slots,
  peak: 100 + 10 * slots,
});
const promised = (bytes: number): MemoryLimit => ({ kind: "promised", bytes });
const machine = (total: number, available: number): MemoryLimit => ({
  kind: "machine",
  total,
  available,
});
const other: Holding = { peak: 100, now: 40, gpu: 0 };

describe("the room for one more model", () => {
  test("is what is left of the promise when all loaded ones have grown", () => {
    expect(roomFor(promised(300), [])).toBe(300);
    expect(roomFor(promised(300), [other, other])).toBe(100);
  });
  test("is what is available, less what loaded ones may still take, or what the total leaves", () => {
    expect(roomFor(machine(1000, 500), [other])).toBe(440);
    expect(roomFor(machine(200, 190), [other])).toBe(100);
  });
  test("is not less for what a GPU holds, but a promise counts that too", () => {
    const there: Holding = { peak: 100, now: 15, gpu: 80 };
    expect(roomFor(machine(1000, 500), [there])).toBe(495);
    expect(roomFor(machine(200, 190), [there])).toBe(180);
    expect(roomFor(promised(300), [there])).toBe(200);
  });
});

describe("what a loaded model takes", () => {
  const memory = { total: 90, gpu: 70 };
  test("is the machine's but for what lies on a GPU with memory of its own", () => {
    expect(holdingOf({ memory }, 100, undefined)).toEqual({ peak: 100, now: 20, gpu: 70 });
    expect(holdingOf({ memory }, 100, 15)).toEqual({ peak: 100, now: 15, gpu: 70 });
  });
  test("is all the machine's where the GPU shares its memory", () => {
    const there = holdingOf({ memory, gpuSharesMemory: true }, 100, undefined);
    expect(there).toEqual({ peak: 100, now: 90, gpu: 0 });
    expect(roomFor(machine(160, 160), [there])).toBe(60);
  });
});

describe("a model", () => {
  test("is loaded as wanted where it fits, with fewer slots where not, but never with few", () => {
    expect(admit(promised(300), [other], need, 8, false)).toEqual({ kind: "load", slots: 8 });
    expect(admit(promised(260), [other], need, 8, false)).toEqual({ kind: "load", slots: 6 });
    expect(admit(promised(239), [other], need, 8, false)).toEqual({ kind: "evict" });
    expect(admit(promised(229), [other], need, 2, false)).toEqual({ kind: "load", slots: 2 });
  });
  test("alone takes what there is, down to one slot", () => {
    expect(admit(promised(125), [], need, 8, false)).toEqual({ kind: "load", slots: 2 });
    expect(admit(promised(110), [], need, 8, false)).toEqual({ kind: "load", slots: 1 });
  });
  test("that can never fit is refused, before anybody has to go", () => {
    const refused = { kind: "refuse", need: need(1), limit: 109 } as const;
    expect(admit(promised(109), [other], need, 8, false)).toEqual(refused);
    expect(admit(promised(150), [], need, 8, true)).toEqual({
      kind: "refuse",
      need: need(8),
      limit: 150,
    });
  });
  test("whose slots were chosen has all of them or is not loaded now", () => {
    expect(admit(promised(270), [other], need, 8, true)).toEqual({ kind: "evict" });
    expect(admit(promised(280), [other], need, 8, true)).toEqual({ kind: "load", slots: 8 });
  });
  test("alone on a machine is always tried, next to others only if it fits", () => {
    expect(admit(machine(50, 10), [], need, 8, false)).toEqual({ kind: "load", slots: 1 });
    expect(admit(machine(50, 10), [], need, 8, true)).toEqual({ kind: "load", slots: 8 });
    expect(admit(machine(1000, 60), [other], need, 8, false)).toEqual({ kind: "evict" });
  });
});

test("a plan has the slots that a load would have now, however many the machine could have", () => {
  const slots = (limit: MemoryLimit, fixed = false) => slotsAlone(limit, need, 8, fixed);
  expect([slots(machine(1000, 1000)), slots(machine(1000, 125))]).toEqual([8, 2]);
  expect([slots(machine(1000, 50)), slots(machine(1000, 125), true)]).toEqual([1, 8]);
  expect([slots(promised(125)), slots(promised(50)), slots(promised(50), true)]).toEqual([2, 1, 8]);
});

describe("a refusal", () => {
  test("has the words that clients look for, and the bill", () => {
    const large = {
      ...need(1),
      lines: [{ what: "weights", bytes: 3 * 2 ** 30 }],
      peak: 4 * 2 ** 30,
    };
    expect(refusal(large, 2 ** 30)).toBe(
      "model requires more system memory (4.0 GiB) than is available (1.0 GiB): weights 3.0 GiB",
    );
    const small = { ...need(1), lines: [{ what: "buffers", bytes: 2 ** 21 }], peak: 2 ** 22 };
    expect(refusal(small, 2 ** 20)).toBe(
      "model requires more system memory (4.0 MiB) than is available (1.0 MiB): buffers 2.0 MiB",
    );
  });
});
