/** How far requests guess ahead: what a step has room for, and what pays. */
import { describe, expect, test } from "bun:test";
import { DraftPace, guessesEach, mostGuesses } from "../../../src/engine/runner/draft-plan.ts";

describe("guesses of a step", () => {
  test("are many for one request, few for each of a few, none for more", () => {
    const each = (decoding: number, drafting: number) => guessesEach(decoding, drafting, 512);
    expect([1, 2, 3, 4, 5, 32].map((decoding) => each(decoding, decoding))).toEqual([
      mostGuesses,
      7,
      4,
      3,
      0,
      0,
    ]);
    expect(each(4, 1)).toBe(12);
    expect(each(3, 0)).toBe(0);
  });

  test("never are more than the step has rows", () => {
    for (let capacity = 1; capacity < 40; capacity++) {
      for (let decoding = 1; decoding <= Math.min(6, capacity); decoding++) {
        for (let drafting = 1; drafting <= decoding; drafting++) {
          const each = guessesEach(decoding, drafting, capacity);
          expect(each).toBeGreaterThanOrEqual(0);
          expect(decoding + drafting * each).toBeLessThanOrEqual(capacity);
        }
      }
    }
  });
});

/** Seconds that a step of so many rows takes on a made-up machine. */
const cost = (rows: number) => 0.01 * (1 + 0.2 * (rows - 1));

/** Lets a pace write `tokens`, of which `right` says how many guesses of a step come true. */
function write(pace: DraftPace, tokens: number, right: (wish: number) => number, timed = true) {
  const seen = { written: 0, guesses: 0, steps: 0, longest: 0, seconds: 0 };
  while (seen.written < tokens) {
    const wish = pace.wish;
    const true_ = Math.min(wish, right(wish));
    const seconds = cost(1 + wish);
    pace.observe(wish, true_, timed ? seconds : undefined);
    seen.written += 1 + true_;
    seen.guesses += wish;
    seen.longest = Math.max(seen.longest, wish);
    seen.seconds += seconds;
    seen.steps++;
  }
  return seen;
}

describe("the pace of a request", () => {
  test("begins without guesses, to know what a step costs", () => {
    const pace = new DraftPace(31);
    expect(pace.wish).toBe(0);
    write(pace, 3, () => 0);
    expect(pace.wish).toBe(7);
  });

  test("guesses as far as it may while everything comes true", () => {
    const { longest, seconds } = write(new DraftPace(31), 400, (wish) => wish);
    expect(longest).toBe(31);
    expect(seconds).toBeLessThan((400 * cost(1)) / 3);
    expect(write(new DraftPace(4), 100, (wish) => wish).longest).toBe(4);
  });

  test("guesses little further than what came true", () => {
    const pace = new DraftPace(31);
    write(pace, 200, () => 5);
    expect(pace.wish).toBe(7);
  });

  test("hardly guesses where nothing comes true, and costs little", () => {
    const { guesses, seconds } = write(new DraftPace(31), 2000, () => 0);
    expect(guesses).toBeLessThan(80);
    expect(write(new DraftPace(4), 256, () => 0).guesses).toBeLessThanOrEqual(24);
    expect(write(new DraftPace(4, 4), 256, () => 0).guesses).toBeLessThanOrEqual(16);
    expect(seconds).toBeLessThan(2000 * cost(1) * 1.03);
  });

  test("tries again after a rest, and finds that it pays now", () => {
    const pace = new DraftPace(31);
    write(pace, 300, () => 0);
    expect(write(pace, 1000, (wish) => wish).longest).toBe(31);
  });

  test("stops when guesses cost more than they bring, though many come true", () => {
    const pace = new DraftPace(4);
    let guesses = 0;
    for (let step = 0; step < 100; step++) {
      const wish = pace.wish;
      pace.observe(wish, wish >> 1, wish > 0 ? 0.05 : 0.01);
      guesses += wish;
    }
    expect(guesses).toBeLessThan(50);
  });

  test("goes by what comes true where other requests share the steps", () => {
    expect(write(new DraftPace(7), 300, (wish) => wish, false).longest).toBe(7);
    expect(write(new DraftPace(7), 1000, () => 0, false).guesses).toBeLessThan(150);
  });
});
