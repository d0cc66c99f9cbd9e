/** The queue of one request's events: order, pace, its one end. */
import { describe, expect, test } from "bun:test";
import { EventQueue } from "../../../src/engine/event-queue.ts";

/** A queue of numbers whose last is 0, and what it asked of its sender. */
function numbers(): { queue: EventQueue<number>; asked: string[] } {
  const asked: string[] = [];
  const queue = new EventQueue<number>({
    pause: (paused) => asked.push(paused ? "pause" : "resume"),
    isLast: (item) => item === 0,
    end: (whole) => asked.push(whole ? "whole" : "cut"),
  });
  return { queue, asked };
}

async function read(queue: EventQueue<number>): Promise<number[]> {
  const found: number[] = [];
  for await (const item of queue) found.push(item);
  return found;
}

describe("a queue of events", () => {
  test("hands on what was there and what comes later, and ends with its last", async () => {
    const { queue, asked } = numbers();
    queue.push(3);
    const reading = read(queue);
    await Promise.resolve();
    queue.push(2);
    queue.push(1);
    queue.push(0);
    expect(await reading).toEqual([3, 2, 1, 0]);
    expect(asked).toEqual(["whole"]);
  });

  test("throws an error after what was queued before it; the first error counts", async () => {
    const { queue, asked } = numbers();
    queue.push(1);
    queue.fail(new Error("first"));
    queue.fail(new Error("second"));
    expect(await queue.next()).toEqual({ done: false, value: 1 });
    await expect(queue.next()).rejects.toThrow("first");
    expect(await queue.next()).toEqual({ done: true, value: undefined });
    expect(asked).toEqual(["cut"]);
  });

  test("wakes a waiting reader with an error", async () => {
    const { queue, asked } = numbers();
    const reading = read(queue);
    await Promise.resolve();
    queue.fail(new Error("gone"));
    await expect(reading).rejects.toThrow("gone");
    expect(asked).toEqual(["cut"]);
  });

  test("ends once when its reader leaves, and says so", async () => {
    const { queue, asked } = numbers();
    queue.push(2);
    queue.push(1);
    for await (const _ of queue) break;
    queue.fail(new Error("late"));
    expect(await queue.next()).toEqual({ done: true, value: undefined });
    expect(asked).toEqual(["cut"]);
  });

  test("asks its sender to pause at 256 unread ones and to resume below half of them", async () => {
    const { queue, asked } = numbers();
    for (let i = 1; i <= 256; i++) queue.push(i);
    expect([queue.paused, asked]).toEqual([true, ["pause"]]);
    for (let i = 1; i <= 128; i++) await queue.next();
    expect(asked).toEqual(["pause"]);
    await queue.next();
    expect([queue.paused, asked]).toEqual([false, ["pause", "resume"]]);
  });
});
