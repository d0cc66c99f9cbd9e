/** What a build tells its user. */
import { expect, test } from "bun:test";
import { Progress, parseBuildLine } from "../../../scripts/build/progress.ts";

/** A screen that keeps what is written, and a clock that the test moves. */
function fixture(isTTY: boolean) {
  let text = "";
  let time = 0;
  const screen = { isTTY, columns: 60, write: (part: string) => (text += part) };
  const progress = new Progress(screen, () => time);
  return {
    progress,
    wait: (ms: number) => {
      time += ms;
    },
    text: () => text,
  };
}

test("without a terminal each step says when it begins and ends, with its number", () => {
  const { progress, wait, text } = fixture(false);
  progress.expect(2);
  progress.step("Source");
  wait(1500);
  progress.step("Compile");
  wait(75_000);
  progress.finish("Ready");
  expect(text()).toBe(
    "[1/2] Source …\n[1/2] Source: done, 1.5 s\n" +
      "[2/2] Compile …\n[2/2] Compile: done, 1 min 15 s\nReady (1 min 16 s)\n",
  );
});

test("without a terminal a long step says how far it is now and then", () => {
  const { progress, wait, text } = fixture(false);
  progress.expect(1);
  progress.step("Compile");
  progress.update(1, 100);
  wait(16_000);
  progress.update(7, 100);
  progress.update(8, 100);
  expect(text()).toBe("[1/1] Compile …\n[1/1] Compile: 7/100, 16 s\n");
});

test("on a terminal one line shows a bar and never wraps", () => {
  const { progress, text } = fixture(true);
  progress.expect(1);
  progress.step("Compile");
  progress.update(50, 100);
  const line = text().split("\r\x1b[K").at(-1) ?? "";
  expect(line).toBe(`[1/1] Compile ${"█".repeat(12)}${"░".repeat(12)} 50/100 0.0 s`);
  progress.step("x".repeat(200));
  expect(text().split("\r\x1b[K").at(-1)).toHaveLength(59);
  progress.abort();
});

test.each([
  ["[3/120] Building CXX object a.o", { done: 3, total: 120 }],
  ["[ 12%] Building CXX object a.o", { done: 12, total: 100 }],
  ["[100%] Built target llama", { done: 100, total: 100 }],
  ["a.cpp:3: warning: [1/2]", undefined],
])("%p means %p", (line, state) => {
  expect(parseBuildLine(line)).toEqual(state);
});
