/** Where an answer begins after thinking. */
import { expect, test } from "bun:test";
import { constrainedPart, thinkingSpan } from "../../../src/schema/thinking.ts";

const tags = { open: "<t>", close: "</t>" };

test("tags of the template, opened by the prompt or by the model", () => {
  expect(thinkingSpan(undefined, tags, "user: x\n<t>\n")).toEqual({ ...tags, opened: true });
  expect(thinkingSpan(undefined, tags, "user: x\n")).toEqual({ ...tags, opened: false });
  expect(thinkingSpan(undefined, undefined, "x")).toBeUndefined();
});

test("marks of built-in parsers", () => {
  expect(thinkingSpan("qwen3", undefined, "x<think>\n")).toEqual({
    open: "<think>",
    close: "</think>",
    opened: true,
  });
  expect(thinkingSpan("harmony", undefined, "x")).toMatchObject({
    close: "<|channel|>final<|message|>",
    opened: true,
  });
});

test("Gemma's prompts may have opened the channel of thoughts with its label", () => {
  for (const [prompt, opened] of [
    ["<|channel>thought\n", true],
    ["<|channel>", true],
    ["<|turn>model\n", false],
  ] as const) {
    expect(thinkingSpan("gemma4", undefined, prompt)).toMatchObject({ opened });
  }
});

test("what is judged is the part behind the thinking", () => {
  const span = (opened: boolean) => ({ ...tags, opened });
  expect(constrainedPart("{}", undefined)).toBe("{}");
  expect(constrainedPart("hm</t>{}", span(true))).toBe("{}");
  expect(constrainedPart(" <t>hm</t>{}", span(false))).toBe("{}");
  expect(constrainedPart("{}</t>", span(false))).toBe("{}</t>");
  expect(constrainedPart("<t>hm", span(false))).toBe("");
});
