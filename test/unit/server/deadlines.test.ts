/** Deadlines: which limit counts, when it is over, and what the error says. */
import { beforeEach, describe, expect, test } from "bun:test";
import { InvalidRequestError, TimeoutError } from "../../../src/errors.ts";
import { Deadlines, headerLimits, type Limits } from "../../../src/server/inference/deadlines.ts";
import { ManualClock } from "../scheduler/engine.ts";

let clock: ManualClock;
let expiries: number;
beforeEach(() => {
  clock = new ManualClock();
  expiries = 0;
});

function deadlines(limits: Limits): Deadlines {
  return new Deadlines(
    limits,
    () => {
      expiries++;
    },
    clock,
  );
}

describe("limits from headers", () => {
  test("are durations or seconds; zero is none", () => {
    const headers = new Headers({
      "X-Hutch-Queue-Timeout": "1m30s",
      "X-Hutch-Load-Timeout": "0",
      "X-Hutch-First-Token-Timeout": "250ms",
      "X-Hutch-Request-Timeout": " 5 ",
    });
    expect(headerLimits(headers)).toEqual({ queue: 90_000, firstToken: 250, request: 5000 });
    expect(headerLimits(new Headers())).toEqual({});
  });
  test("that are no durations are refused by name", () => {
    const headers = new Headers({ "x-hutch-token-timeout": "soon" });
    expect(() => headerLimits(headers)).toThrow(InvalidRequestError);
    expect(() => headerLimits(headers)).toThrow(/x-hutch-token-timeout: "soon"/);
  });
});

describe("a request with deadlines", () => {
  test("ends when the shorter of two limits is over, with what it waited for", async () => {
    const request = deadlines({ queue: 2000 });
    request.add({ queue: 5000, token: 10 });
    request.enter("queue");
    await clock.advance(1999);
    expect([expiries, request.expired]).toEqual([0, undefined]);
    await clock.advance(1);
    expect(expiries).toBe(1);
    expect(request.expired).toBeInstanceOf(TimeoutError);
    expect(request.expired?.message).toMatch(/^timed out after 2 s of waiting for a free slot \(/);
  });

  test("adds up its waits for a slot, but begins anew with each token", async () => {
    const request = deadlines({ queue: 1000, token: 1000 });
    request.enter("queue");
    await clock.advance(600);
    request.enter("load");
    await clock.advance(60_000);
    for (let i = 0; i < 5; i++) {
      request.enter("token");
      await clock.advance(900);
    }
    expect(expiries).toBe(0);
    request.enter("queue");
    await clock.advance(399);
    expect(expiries).toBe(0);
    await clock.advance(1);
    expect(expiries).toBe(1);
  });

  test("is not waiting while its reader is", async () => {
    const request = deadlines({ token: 10 });
    request.enter("token");
    request.leave();
    await clock.advance(1000);
    expect(expiries).toBe(0);
  });

  test("as a whole ends in whatever it waits for, and is told so; once, and never after its end", async () => {
    const request = deadlines({ request: 1000, token: 400 });
    request.enter("firstToken");
    await clock.advance(1000);
    expect(request.expired?.message).toMatch(
      /^timed out after 1 s of waiting for the end of the answer, still waiting for the first token/,
    );
    request.enter("token");
    await clock.advance(5000);
    expect(expiries).toBe(1);
    const other = deadlines({ request: 1000, token: 400 });
    other.enter("token");
    other.end();
    await clock.advance(5000);
    expect([expiries, other.expired]).toEqual([1, undefined]);
  });

  test("turns what a wait throws into its own error only when a limit was over", async () => {
    const request = deadlines({ queue: 10 });
    const failure = new Error("other");
    expect(request.during("load", () => Promise.reject(failure))).rejects.toBe(failure);
    const late = request.during("queue", async () => {
      await clock.advance(10);
      throw failure;
    });
    expect(late).rejects.toBeInstanceOf(TimeoutError);
  });
});
