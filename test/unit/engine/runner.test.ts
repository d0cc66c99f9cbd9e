/** The pure parts of the runner: plan, costs, slots. */
import { describe, expect, test } from "bun:test";
import { CostCurve } from "../../../src/engine/runner/cost.ts";
import {
  fixedChunk,
  planAlone,
  planStep,
  promptChunk,
  promptSeconds,
  promptsOf,
  type StepLimits,
  worthInterrupting,
} from "../../../src/engine/runner/plan.ts";
import { chooseSlot, neighbour } from "../../../src/engine/runner/prefix.ts";
import { PromptCosts } from "../../../src/engine/runner/prompt-costs.ts";

describe("the plan of a step", () => {
  const limits: StepLimits = {
    batchSize: 64,
    rows: 64,
    decodeNext: false,
    seconds: 0.05,
    longest: 0.5,
    costs: new PromptCosts(1000),
  };
  const mixed = [
    { slot: 0, promptLeft: 400, evaluated: 0, order: 2, served: 0 },
    { slot: 1, promptLeft: 0, evaluated: 0, order: 1, served: 0 },
    { slot: 2, promptLeft: 30, evaluated: 0, order: 0, served: 0 },
    { slot: 3, promptLeft: 0, evaluated: 0, order: 3, served: 0 },
  ];

  test("takes turns: prompts, the oldest first, for a bounded time", () => {
    expect(planStep(mixed, limits)).toEqual([
      { slot: 0, count: 20 },
      { slot: 2, count: 30 },
    ]);
  });

  test("then a row for each decoding slot", () => {
    expect(planStep(mixed, { ...limits, decodeNext: true })).toEqual([
      { slot: 1, count: 1 },
      { slot: 3, count: 1 },
    ]);
    const decoding = mixed.filter(({ promptLeft }) => promptLeft === 0);
    expect(planStep(decoding, limits)).toEqual([
      { slot: 1, count: 1 },
      { slot: 3, count: 1 },
    ]);
    const prompts = mixed.filter(({ promptLeft }) => promptLeft > 0);
    expect(planStep(prompts, { ...limits, decodeNext: true })).toEqual([
      { slot: 0, count: 20 },
      { slot: 2, count: 30 },
    ]);
  });

  test("takes what is pending of a slot while the batch holds it", () => {
    const wants = [
      { slot: 0, promptLeft: 0, evaluated: 0, order: 0, served: 0, pending: 5 },
      { slot: 1, promptLeft: 0, evaluated: 0, order: 1, served: 0, pending: 5 },
    ];
    expect(planStep(wants, { ...limits, batchSize: 8 })).toEqual([
      { slot: 0, count: 5 },
      { slot: 1, count: 3 },
    ]);
  });

  test("takes those that waited longest when not all rows are worth it, in the slots' order", () => {
    const wants = [5, 4, 6, 3].map((served, slot) => ({
      slot,
      promptLeft: 0,
      evaluated: 0,
      order: slot,
      served,
    }));
    const shares = planStep(wants, { ...limits, rows: 2 });
    expect(shares.map(({ slot }) => slot)).toEqual([1, 3]);
  });

  const remainder = (slot: number, promptLeft: number) => ({
    slot,
    promptLeft,
    evaluated: 0,
    order: slot,
    served: 0,
  });
  const counts = (shares: readonly { count: number }[]) => shares.map(({ count }) => count);

  test("takes more time for prompts that end in it", () => {
    const prompts = [0, 1, 2, 3].map((slot) => remainder(slot, 80));
    expect(counts(planStep(prompts, { ...limits, batchSize: 512 }))).toEqual([80, 80, 80]);
    expect(counts(planStep(prompts, { ...limits, batchSize: 170 }))).toEqual([80, 80, 10]);
  });

  test("takes no more for a piece of a prompt, and none behind it for another", () => {
    const wants = [remainder(0, 1000), remainder(1, 30), remainder(2, 1000)];
    const [piece, ...more] = planStep(wants, { ...limits, batchSize: 512 });
    expect(piece?.count).toBeWithin(1, 51);
    expect(more).toEqual([{ slot: 1, count: 30 }]);
  });

  test("lets answers that have just begun wait for those that come with them", () => {
    const begun = { slot: 3, promptLeft: 0, evaluated: 9, order: 0, served: 1, begun: 0.1 };
    const wants = [remainder(0, 30), remainder(1, 15), begun];
    const next = { ...limits, decodeNext: true };
    const prompts = [
      { slot: 0, count: 30 },
      { slot: 1, count: 15 },
    ];
    const rows = [{ slot: 3, count: 1 }];
    expect(planStep(wants, next)).toEqual(prompts);
    // Not for long, not for a prompt that does not end, not when one of them has been going on.
    expect(planStep([...wants.slice(0, 2), { ...begun, begun: 0.99 }], next)).toEqual(rows);
    expect(planStep([remainder(0, 1000), begun], next)).toEqual(rows);
    const goingOn = { slot: 4, promptLeft: 0, evaluated: 9, order: 0, served: 1 };
    expect(planStep([...wants, goingOn], next)).toEqual([...rows, { slot: 4, count: 1 }]);
  });

  test("may be ended early, but for prompts that end in it soon, and rows of running answers", () => {
    const wants = [remainder(0, 30), remainder(1, 30), remainder(2, 1000), remainder(3, 500)];
    const costs = new PromptCosts(1000);
    const may = (...shares: [slot: number, count: number][]) =>
      worthInterrupting(
        promptsOf(
          [...wants, { ...remainder(4, 0) }],
          shares.map(([slot, count]) => ({ slot, count })),
        ),
        costs,
      );
    // As long as nobody knows how long they take, none is spared.
    expect(may([0, 30], [1, 30])).toBe(true);
    costs.observe([{ count: 64, evaluated: 0 }], 0.064);
    expect(may([0, 30], [1, 30])).toBe(false);
    expect(may([0, 30], [2, 30])).toBe(true);
    expect(may([3, 500])).toBe(true);
    expect(may([4, 1])).toBe(false);
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

describe("the costs of prompts", () => {
  /** A machine with small pieces three times as slow in looking back as tiles. */
  function learned(): PromptCosts {
    const costs = new PromptCosts(1000);
    for (let i = 0; i < 20; i++) {
      costs.observe([{ count: 50, evaluated: 0 }], 50 * 0.004 + 50 * 25 * 6e-6);
      costs.observe([{ count: 20, evaluated: 1000 }], 20 * 0.004 + 20 * 1010 * 6e-6);
      costs.observe([{ count: 64, evaluated: 1000 }], 64 * 0.004 + 64 * 1032 * 1.5e-6);
    }
    return costs;
  }

  test("are learned in both parts", () => {
    const costs = learned();
    expect(costs.speed).toBeWithin(245, 255);
    expect(costs.seconds(20, 2000)).toBeCloseTo(20 * 0.004 + 20 * 2010 * 6e-6, 1);
    expect(costs.seconds(64, 2000)).toBeCloseTo(64 * 0.004 + 64 * 2032 * 1.5e-6, 1);
  });

  test("cut long prompts so that tiles come out, the odd tokens first", () => {
    const costs = learned();
    let evaluated = 0;
    const pieces: number[] = [];
    while (evaluated < 2053) {
      const piece = costs.piece(2053 - evaluated, evaluated, 0.2, 0.5);
      pieces.push(piece);
      evaluated += piece;
    }
    expect(evaluated).toBe(2053);
    const late = pieces.slice(pieces.length >> 1);
    // One last piece may be odd: nothing else is where there is much to look back at.
    expect(late.filter((piece) => piece % 64 === 0).length).toBeGreaterThanOrEqual(late.length - 1);
  });

  test("keep a step short", () => {
    const costs = new PromptCosts(1000);
    expect(costs.piece(500, 0, 0.1, 0.5)).toBe(500 % 64);
    expect(costs.piece(512, 0, 0.1, 0.5)).toBe(64);
    expect(costs.piece(90, 0, 0.1, 0.5)).toBe(90);
    expect(costs.piece(90, 0, 0.05)).toBe(50);
    expect(costs.piece(90, 0, 0)).toBe(0);
    expect(costs.piece(90, 0, 0, 0.5)).toBe(8);
    expect(costs.piece(5, 0, 0, 0.5)).toBe(5);
    expect(costs.piece(10_000, 0, 1, 1)).toBe(16 + 15 * 64);
  });

  test("leave no prompt without a token", () => {
    const slow = new PromptCosts(1);
    for (const left of [1, 7, 63, 64, 65, 5000]) {
      for (const evaluated of [0, 63, 300, 4000]) {
        expect(slow.piece(left, evaluated, 0.05, 0.5)).toBeWithin(1, left + 1);
      }
    }
  });

  test("are not made dear by a busy moment, and what was too slow is tried again", () => {
    const costs = learned();
    const tiles = () => costs.piece(1024, 1000, 0.2, 0.5) >= 64;
    const tileOf = (seconds: number) => costs.observe([{ count: 64, evaluated: 1000 }], seconds);
    tileOf(3);
    expect(tiles()).toBe(true);
    for (let i = 0; i < 10; i++) tileOf(3);
    expect(tiles()).toBe(false);
    let small = 0;
    for (; !tiles() && small < 1000; small++) {
      costs.observe([{ count: 20, evaluated: 1000 }], 20 * 0.004 + 20 * 1010 * 6e-6);
    }
    expect(small).toBeWithin(5, 100);
  });

  test("that were dear at the beginning of a prompt only are corrected far into it", () => {
    const costs = new PromptCosts(1000);
    costs.observe([{ count: 37, evaluated: 0 }], 0.8);
    costs.observe([{ count: 10, evaluated: 30 }], 0.2);
    for (let at = 300; at < 360; at += 10) {
      costs.observe([{ count: 10, evaluated: at }], 10 * 0.004 + 10 * at * 6e-6);
    }
    expect(costs.seconds(10, 400)).toBeLessThan(0.1);
    expect(costs.piece(1024, 400, 0.2, 0.5)).toBeGreaterThan(20);
  });

  test("are not learned from nothing", () => {
    const costs = new PromptCosts(1000);
    costs.observe([{ count: 3, evaluated: 0 }], 10);
    costs.observe([], 10);
    expect(costs.speed).toBe(1000);
  });

  test("prompts get less time where the running streams need it", () => {
    expect(promptSeconds(0)).toBe(0.2);
    expect(promptSeconds(0.1)).toBeCloseTo(0.15);
    expect(promptSeconds(1)).toBe(0.05);
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

  test("gives up no conversation for a few tokens that others begin with, too", () => {
    const other = [0, 1, ...long.map((token) => token + 500)];
    expect(chooseSlot([slot(long, false, 9), slot([], false, 0)], other, true)).toEqual({
      kind: "use",
      slot: 1,
      common: 0,
    });
    expect(chooseSlot([slot(long, false, 9), slot(long, false, 3)], other, true)).toMatchObject({
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

  test("waits for the last piece too, not for a few tokens", () => {
    const coming = { ...slot(long.slice(0, 170), true), coming: long };
    expect(chooseSlot([coming, slot([])], [...long, 7], true)).toEqual({ kind: "wait" });
    const soon = { ...slot(long.slice(0, 190), true), coming: long };
    expect(chooseSlot([soon, slot([])], [...long, 7], true)).toMatchObject({ kind: "copy" });
  });

  test("waits for no beginning that is too short to be copied afterwards", () => {
    const prompt = [...long.slice(0, 40), 7];
    const coming = { ...slot([], true), coming: long.slice(0, 40) };
    expect(chooseSlot([coming, slot([])], prompt, true)).toEqual({
      kind: "use",
      slot: 1,
      common: 0,
    });
    const kept = { ...slot([], true), coming: long };
    expect(chooseSlot([kept, slot(long.slice(0, 150))], [...long, 7], true)).toEqual({
      kind: "use",
      slot: 1,
      common: 150,
    });
  });

  test("waits when no slot is free", () => {
    expect(chooseSlot([slot([], true)], [1], true)).toEqual({ kind: "wait" });
  });
});

describe("the place of a slot", () => {
  /** `#` is busy, a digit so many tens of tokens that a free slot holds. */
  const at = (slots: string, wanted: number, most = 1000) =>
    neighbour(
      [...slots].map((each) => ({
        busy: each === "#",
        held: each === "#" ? 0 : 10 * Number(each),
      })),
      wanted,
      most,
    );

  test("is the wanted one while nobody else is busy, or when it is beside busy ones", () => {
    expect(at("0000", 2)).toBe(2);
    expect(at("#500", 1)).toBe(1);
    expect(at("##0050", 2)).toBe(2);
  });

  test("is beside busy ones, where least has to be moved", () => {
    expect(at("00#00000", 7)).toBe(1);
    expect(at("09#30000", 7)).toBe(3);
    expect(at("99#90000", 7)).toBe(1);
  });

  test("is between two runs of busy ones, which it makes one, whatever is there", () => {
    expect(at("#0000##9#0", 9)).toBe(7);
    expect(at("#00##9#0", 2)).toBe(5);
  });

  test("is the wanted one when too much had to be moved", () => {
    expect(at("#9009", 4, 100)).toBe(4);
    expect(at("#9009", 4, 180)).toBe(1);
  });
});
