/** How messages between a server and its runners travel. */
import { describe, expect, test } from "bun:test";
import { decodeMessage, encodeMessage, type Report } from "../../../src/engine/protocol.ts";

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
