/** The pure parts of the runner: text, plan, prefixes. */
import { describe, expect, test } from "bun:test";
import { CostCurve } from "../../../src/engine/runner/cost.ts";
import { fixedChunk, planAlone, planStep, promptChunk } from "../../../src/engine/runner/plan.ts";
import { chooseSlot } from "../../../src/engine/runner/prefix.ts";
import { TextAssembler } from "../../../src/engine/runner/text.ts";

function assemble(
  text: string,
  size: number,
  stops: readonly string[],
): { text: string; stopped: boolean } {
  const bytes = new TextEncoder().encode(text);
  const assembler = new TextAssembler(stops);
  let out = "";
  for (let at = 0; at < bytes.length; at += size) {
    const piece = assembler.push(bytes.slice(at, at + size));
    expect(piece.text).not.toContain("\ufffd");
    out += piece.text;
    if (piece.stopped) return { text: out, stopped: true };
  }
  return { text: out + assembler.end(), stopped: false };
}

describe("text of tokens", () => {
  for (const size of [1, 2, 3, 7]) {
    test(`whole characters come out of pieces of ${size} bytes`, () => {
      expect(assemble("Zoë 日本 🍎!", size, ["nothing"])).toEqual({
        text: "Zoë 日本 🍎!",
        stopped: false,
      });
    });
    test(`the earliest stop text ends the answer in pieces of ${size} bytes`, () => {
      expect(assemble("one <en two <end> three", size, ["three", "<end>"])).toEqual({
        text: "one <en two ",
        stopped: true,
      });
    });
  }
});

describe("the plan of a step", () => {
  test("gives decoding slots a row each, and the rest to the oldest prompts", () => {
    const wants = [
      { slot: 0, promptLeft: 100, evaluated: 0, order: 2, served: 0 },
      { slot: 1, promptLeft: 0, evaluated: 0, order: 1, served: 0 },
      { slot: 2, promptLeft: 30, evaluated: 0, order: 0, served: 0 },
    ];
    expect(planStep(wants, 64, 50)).toEqual([
      { slot: 1, count: 1 },
      { slot: 2, count: 30 },
      { slot: 0, count: 20 },
    ]);
  });

  test("takes those that waited longest when not all rows are worth it", () => {
    const wants = [5, 3, 4].map((served, slot) => ({
      slot,
      promptLeft: 0,
      evaluated: 0,
      order: slot,
      served,
    }));
    expect(planStep(wants, 64, 50, 2).map(({ slot }) => slot)).toEqual([1, 2]);
  });

  test("is one slot's in fixed chunks where results must not depend on others", () => {
    const want = (slot: number, promptLeft: number, evaluated: number, served: number) => ({
      slot,
      promptLeft,
      evaluated,
      served,
      order: slot,
    });
    // The one that waited longest; of two prompts the older one.
    expect(planAlone([want(0, 0, 9, 3), want(1, 0, 9, 2)], 512)).toEqual([{ slot: 1, count: 1 }]);
    const prompts = [want(0, 0, 9, 3), want(1, 100, 0, 2), want(2, 100, 0, 1)];
    expect(planAlone(prompts, 512)).toEqual([{ slot: 1, count: fixedChunk }]);
    // Chunks begin at multiples, so that what was kept of a prompt does not move them.
    expect(planAlone([want(0, 100, 40, 0)], 512)).toEqual([{ slot: 0, count: 24 }]);
    expect(planAlone([want(0, 5, 64, 0)], 512)).toEqual([{ slot: 0, count: 5 }]);
    expect(planAlone([{ ...want(0, 0, 9, 0), pending: 3 }], 512)).toEqual([{ slot: 0, count: 3 }]);
    expect(planAlone([], 512)).toEqual([]);
  });

  test("keeps prompt chunks short while others decode", () => {
    expect(promptChunk(1000, true)).toBe(50);
    expect(promptChunk(1000, false)).toBe(120);
    expect(promptChunk(1, true)).toBe(8);
  });
});

describe("the cost curve", () => {
  test("batches until it knows better, and again when the figures are old", () => {
    const costs = new CostCurve();
    expect(costs.rowsWorth(2)).toBe(2);
    costs.observe(2, 0.02);
    expect(costs.rowsWorth(2)).toBe(1); // asks what one row costs
    costs.observe(1, 0.009);
    expect(costs.rowsWorth(2)).toBe(1);
    for (let i = 0; i < 300; i++) costs.observe(1, 0.009);
    expect(costs.rowsWorth(2)).toBe(2); // asks again
    costs.observe(2, 0.0182);
    expect(costs.rowsWorth(2)).toBe(2);
  });

  test("never doubts many rows", () => {
    const costs = new CostCurve();
    costs.observe(1, 0.001);
    costs.observe(8, 1);
    expect(costs.rowsWorth(8)).toBe(8);
  });
});

describe("the choice of a slot", () => {
  const slot = (tokens: number[], busy = false, lastUse = 0) => ({ tokens, busy, lastUse });
  const long = Array.from({ length: 200 }, (_, i) => i);

  test("prefers the free slot with the longest common prefix, then the oldest", () => {
    expect(chooseSlot([slot([1, 2]), slot([1, 2, 3])], [1, 2, 3, 4], true)).toEqual({
      kind: "use",
      slot: 1,
      common: 3,
    });
    expect(chooseSlot([slot([], false, 5), slot([], false, 2)], [1], true)).toMatchObject({
      slot: 1,
    });
  });

  test("copies a long prefix from a busy slot", () => {
    expect(chooseSlot([slot(long, true), slot([])], [...long, 7], true)).toEqual({
      kind: "copy",
      slot: 1,
      source: 0,
      common: 200,
    });
    expect(chooseSlot([slot(long, true), slot([])], [...long, 7], false)).toMatchObject({
      kind: "use",
    });
  });

  test("waits for a prefix that another request is just evaluating", () => {
    const coming = { ...slot(long.slice(0, 10), true), coming: long };
    expect(chooseSlot([coming, slot([])], [...long, 7], true)).toEqual({ kind: "wait" });
  });

  test("waits when no slot is free", () => {
    expect(chooseSlot([slot([], true)], [1], true)).toEqual({ kind: "wait" });
  });
});
