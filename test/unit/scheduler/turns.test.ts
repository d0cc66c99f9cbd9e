/** Whose turn it is on a loaded model: priority, ageing, fairness, the queue's bound. */
import { describe, expect, test } from "bun:test";
import { BusyError, CanceledError, EngineCrashedError } from "../../../src/errors.ts";
import {
  ageingMs,
  nextTurn,
  type Priority,
  Turns,
  type WaitingTurn,
} from "../../../src/scheduler/turns.ts";
import { ManualClock, settle } from "./engine.ts";

const never = new AbortController().signal;
const turn = (client: string, since: number, priority: Priority = "normal"): WaitingTurn => ({
  client,
  since,
  priority,
});

describe("nextTurn", () => {
  test("nobody waits", () => {
    expect(nextTurn([], new Map(), 0)).toBe(-1);
  });

  test("the first that came goes first", () => {
    expect(nextTurn([turn("a", 2), turn("b", 1), turn("c", 3)], new Map(), 5)).toBe(1);
  });

  test("priority goes before age, until the wait has lifted the older one", () => {
    const waiting = [turn("a", 0, "low"), turn("b", ageingMs, "high")];
    expect(nextTurn(waiting, new Map(), ageingMs)).toBe(1);
    const old = [turn("a", 0, "low"), turn("b", 3 * ageingMs, "high")];
    expect(nextTurn(old, new Map(), 3 * ageingMs)).toBe(0);
  });

  test("among equals the client that is served least goes first", () => {
    const waiting = [turn("greedy", 0), turn("greedy", 1), turn("modest", 2)];
    expect(nextTurn(waiting, new Map([["greedy", 3]]), 5)).toBe(2);
    expect(
      nextTurn(
        waiting,
        new Map([
          ["greedy", 3],
          ["modest", 3],
        ]),
        5,
      ),
    ).toBe(0);
  });
});

describe("turns", () => {
  /** Takes a turn, notes when it is served, and gives it back when told to. */
  function note(turns: Turns, name: string, served: string[], priority: Priority = "normal") {
    let held: Disposable | undefined;
    void turns.take({ client: name, priority }, never).then(
      (turn) => {
        held = turn;
        served.push(name);
      },
      () => {},
    );
    return { giveBack: () => held?.[Symbol.dispose]() };
  }

  test("as many as there are slots and one more are served, the rest in order", async () => {
    const turns = new Turns(1, 10, new ManualClock());
    const served: string[] = [];
    const first = note(turns, "a", served);
    note(turns, "b", served);
    note(turns, "c", served);
    note(turns, "d", served, "high");
    await settle();
    expect([served, turns.running, turns.waiting]).toEqual([["a", "b"], 2, 2]);
    first.giveBack();
    first.giveBack();
    await settle();
    expect([served, turns.running, turns.waiting]).toEqual([["a", "b", "d"], 2, 1]);
  });

  test("beyond the bound a request is refused at once", async () => {
    const turns = new Turns(1, 1, new ManualClock());
    const served: string[] = [];
    for (const name of ["a", "b", "c"]) note(turns, name, served);
    await expect(turns.take({ client: "d", priority: "high" }, never)).rejects.toBeInstanceOf(
      BusyError,
    );
  });

  test("whoever leaves the queue gives up the place", async () => {
    const turns = new Turns(1, 1, new ManualClock());
    const served: string[] = [];
    note(turns, "a", served);
    const second = note(turns, "b", served);
    const leaver = new AbortController();
    const third = turns.take({ client: "c", priority: "normal" }, leaver.signal);
    third.catch(() => {});
    leaver.abort();
    await expect(third).rejects.toBeInstanceOf(CanceledError);
    expect(turns.waiting).toBe(0);
    note(turns, "d", served);
    await settle();
    second.giveBack();
    await settle();
    expect(served).toEqual(["a", "b", "d"]);
  });

  test("when the model is gone all that wait end, and whoever comes", async () => {
    const turns = new Turns(1, 5, new ManualClock());
    const served: string[] = [];
    note(turns, "a", served);
    note(turns, "b", served);
    const third = turns.take({ client: "c", priority: "normal" }, never);
    third.catch(() => {});
    const reason = new EngineCrashedError("gone");
    turns.fail(reason);
    await expect(third).rejects.toBe(reason);
    await expect(turns.take({ client: "d", priority: "low" }, never)).rejects.toBe(reason);
  });
});
