/** How messages between a server and its runners travel. */
import { describe, expect, test } from "bun:test";
import {
  decodeMessage,
  encodeMessage,
  type Report,
  readReport,
} from "../../../src/engine/protocol.ts";

describe("messages", () => {
  test("travel as text, and arrive as they were", () => {
    const report: Report = {
      type: "events",
      events: [[7, { type: "text", text: 'half a pair \ud83d, "quotes"\n, \u2028' }]],
    };
    const carried = encodeMessage(report);
    expect(typeof carried).toBe("string");
    expect(decodeMessage(carried)).toEqual(report);
  });

  test("with bytes travel as they are", () => {
    const vectors: Report = {
      type: "vectors",
      id: 1,
      bytes: new Uint8Array([1, 2, 3]),
      promptTokens: 3,
      cutTokens: 0,
    };
    expect(encodeMessage(vectors)).toBe(vectors);
    expect(decodeMessage(vectors)).toBe(vectors);
  });

  test("that are no JSON are refused", () => {
    expect(() => decodeMessage("text")).toThrow(SyntaxError);
  });
});

describe("a report", () => {
  const done = {
    type: "done",
    reason: "stop",
    promptTokens: 1,
    cachedTokens: 0,
    shiftedTokens: 0,
    promptNs: 1,
    evalTokens: 1,
    evalNs: 1,
  } as const;
  const good: readonly Report[] = [
    { type: "progress" },
    { type: "tokens", id: 1, tokens: [] },
    { type: "tokens", id: 1, tokens: [1, 2] },
    { type: "events", events: [] },
    {
      type: "events",
      events: [
        [0, { type: "text", text: "a" }],
        [1, done],
        [2, { ...done, context: [1, 2] }],
        [3, { type: "text", text: "a", logprobs: [] }],
      ],
    },
  ];
  for (const report of good) {
    test(`is taken: ${JSON.stringify(report)}`, () => {
      expect(readReport(encodeMessage(report))).toEqual(report);
    });
  }

  const wrong: readonly unknown[] = [
    null,
    7,
    [],
    {},
    { type: "unknown" },
    { type: "ready" },
    { type: "tokens", id: 1, tokens: [1.5] },
    { type: "tokens", id: 1, tokens: "12" },
    { type: "tokens", tokens: [1] },
    { type: "error", id: 1 },
    { type: "events" },
    { type: "events", events: {} },
    { type: "events", events: [null] },
    { type: "events", events: [[1]] },
    { type: "events", events: [[1, null]] },
    { type: "events", events: [["1", { type: "text", text: "a" }]] },
    { type: "events", events: [[1, { type: "text", text: 5 }]] },
    { type: "events", events: [[1, { type: "text", text: "a", logprobs: [null] }]] },
    { type: "events", events: [[1, { type: "done" }]] },
    { type: "events", events: [[1, { ...done, evalTokens: -1 }]] },
    { type: "events", events: [[1, { ...done, context: ["a"] }]] },
  ];
  for (const report of wrong) {
    test(`is refused: ${JSON.stringify(report)}`, () => {
      expect(() => readReport(JSON.stringify(report))).toThrow(TypeError);
    });
  }
});
