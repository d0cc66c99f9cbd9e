/** Which added words mean something: those that a template, a renderer or a parser has. */
import { describe, expect, test } from "bun:test";
import { wordsWithMeaning, writtenBy } from "../../../src/chat/marks.ts";
import { rendererNamed, rendererNames } from "../../../src/chat/renderers/table.ts";

describe("words with a meaning", () => {
  const words = ["<tool_call>", "</tool_response>", "<think>", "<table>", "[extra]"];

  test("are those that a template writes or a parser reads", () => {
    const template = "{{ if .ToolCalls }}<tool_call>{{ end }}<table";
    expect([...wordsWithMeaning(words, [template, "<think>"])]).toEqual(["<tool_call>", "<think>"]);
  });

  test("are those that a renderer writes, with tools and with thinking", () => {
    const found = (name: string) => {
      const render = rendererNamed(name);
      return render === undefined ? [] : [...wordsWithMeaning(words, [writtenBy(render)])];
    };
    expect(found("qwen3-vl-thinking")).toEqual(["<tool_call>", "</tool_response>", "<think>"]);
    expect(found("qwen3-coder")).toEqual(["<tool_call>", "</tool_response>"]);
  });

  test.each(rendererNames)("the renderer %s can be asked", (name) => {
    const render = rendererNamed(name);
    if (render === undefined) throw new Error(`no renderer ${name}`);
    expect(writtenBy(render).length).toBeGreaterThan(20);
  });
});
