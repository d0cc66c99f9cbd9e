/** The number of threads follows what steps really take. */
import { expect, test } from "bun:test";
import { ThreadGovernor } from "../../../src/engine/runner/threads.ts";

/** Runs steps of one row; `cost` says what one takes with so many threads. Returns threads by step. */
function run(governor: ThreadGovernor, steps: number, cost: (threads: number) => number): number[] {
  return Array.from({ length: steps }, () => {
    const { threads } = governor;
    governor.observe(1, 0, cost(threads));
    return threads;
  });
}

const quiet = (threads: number) => 0.02 / threads;
/** Others want the cores: more than one thread waits for ever. */
const crowded = (threads: number) => (threads === 1 ? 0.04 : 0.8);

test("on a quiet machine all threads are used, always", () => {
  expect(new Set(run(new ThreadGovernor(4), 500, quiet))).toEqual(new Set([4]));
});

test("on a crowded machine it goes down, tries again now and then, and comes back up", () => {
  const governor = new ThreadGovernor(4);
  run(governor, 20, quiet);
  const used = run(governor, 300, crowded);
  expect(used.slice(0, 3)).toEqual([4, 2, 1]);
  expect(used.filter((threads) => threads === 1).length).toBeGreaterThan(270);
  expect(used.filter((threads) => threads > 1).length).toBeGreaterThan(2);
  expect(run(governor, 400, quiet).at(-1)).toBe(4);
});

test("a slow step now and then changes nothing", () => {
  const governor = new ThreadGovernor(2);
  const used = Array.from({ length: 500 }, (_, i) => {
    const { threads } = governor;
    governor.observe(1, 0, quiet(threads) * (i % 7 === 3 ? 5 : 1));
    return threads;
  });
  expect(new Set(used)).toEqual(new Set([2]));
});

test("steps that stay a little slow are noticed, and threads come back when it is over", () => {
  const governor = new ThreadGovernor(2);
  run(governor, 50, quiet);
  const used = run(governor, 100, (threads) => (threads === 2 ? 0.06 : 0.021));
  expect(used.filter((threads) => threads === 1).length).toBeGreaterThan(70);
  expect(run(governor, 400, quiet).slice(-10)).toEqual(Array.from({ length: 10 }, () => 2));
});

test("it goes down when the very first step is long, and back when that was no help", () => {
  const governor = new ThreadGovernor(2);
  expect(run(governor, 3, (threads) => 2 / threads)).toEqual([2, 1, 2]);
});

test("steps that look further back take longer, and are not slow for that", () => {
  const governor = new ThreadGovernor(2);
  const step = (back: number) => {
    const { threads } = governor;
    governor.observe(8, back, (0.05 + back * 6e-5) / threads);
    return threads;
  };
  const used = [0, 20, 2000, 100, 4000, 8000, 300].flatMap((back) =>
    Array.from({ length: 6 }, () => step(back)),
  );
  expect(new Set(used)).toEqual(new Set([2]));
  // A crowded machine is seen there too.
  const crowd = Array.from({ length: 40 }, () => {
    const { threads } = governor;
    governor.observe(8, 4000, threads === 1 ? 0.6 : 3);
    return threads;
  });
  expect(crowd.filter((threads) => threads === 1).length).toBeGreaterThan(20);
});
