/** Tool calls in the output of models whose template shows only how calls begin (output-parsing.md 3). */
import { describe, expect, test } from "bun:test";
import type { Tool } from "../../../src/chat/messages.ts";
import { ToolSplitter } from "../../../src/chat/tools.ts";

const tool = (name: string): Tool => ({ type: "function", function: { name, description: "" } });
const tools = ["search", "say_hello", "say_hello_world"].map(tool);

function read(tag: string, pieces: readonly string[]) {
  const splitter = new ToolSplitter(tools, tag);
  let content = "";
  const calls: { name: string; arguments: unknown }[] = [];
  for (const [i, piece] of [...pieces, ""].entries()) {
    const step = splitter.add(piece, i === pieces.length);
    content += step.content;
    calls.push(...step.calls);
  }
  return { content, calls };
}

const cases: readonly (readonly [string, string, string, unknown[], string])[] = [
  [
    "text and calls of one piece are both given",
    "<tool_call>",
    'Hm. <tool_call>{"name":"search","arguments":{"q":1}}</tool_call><tool_call>{"name":"say_hello","arguments":{}}',
    [
      { name: "search", arguments: { q: 1 } },
      { name: "say_hello", arguments: {} },
    ],
    "Hm. ",
  ],
  [
    "the longest name wins",
    "{",
    '{"name":"say_hello_world","arguments":{}}',
    [{ name: "say_hello_world", arguments: {} }],
    "",
  ],
  [
    "arguments may be a text of JSON, or parameters",
    "{",
    '{"name":"search","parameters":"{\\"q\\":[1]}"}',
    [{ name: "search", arguments: { q: [1] } }],
    "",
  ],
  [
    "a name may be the key of its arguments",
    "[",
    '[{"search":{"q":2}}]',
    [{ name: "search", arguments: { q: 2 } }],
    "",
  ],
  [
    "a list of calls is read without its end",
    "[",
    '[{"name":"search","arguments":{}}, {"name":"say_hello","arguments":{"a":"]}"}}',
    [
      { name: "search", arguments: {} },
      { name: "say_hello", arguments: { a: "]}" } },
    ],
    "",
  ],
  ["plain JSON is content", "{", '{"answer": 42} and more {', [], '{"answer": 42} and more {'],
  [
    "an undeclared name is content",
    "{",
    '{"name":"other","arguments":{}}',
    [],
    '{"name":"other","arguments":{}}',
  ],
  ["braces that are no JSON are content", "{", "for { x }", [], "for { x }"],
  [
    "what only begins like a bracketed call is content",
    "[",
    "[special delivery]",
    [],
    "[special delivery]",
  ],
  [
    "after other text a bracket is text",
    "{",
    'Look: {"name":"search","arguments":{}}',
    [],
    'Look: {"name":"search","arguments":{}}',
  ],
  [
    "white space in front of a call does not matter",
    "{",
    '\n {"name":"search","arguments":{}}',
    [{ name: "search", arguments: {} }],
    "\n ",
  ],
  [
    "an unfinished object at the end is content",
    "{",
    '{"name":"search","arg',
    [],
    '{"name":"search","arg',
  ],
  ["the beginning of a tag that never came is content", "<tool_call>", "a <tool", [], "a <tool"],
  [
    "a call is not lost when a name's beginning follows",
    "{",
    '{"name":"search","arguments":{}} thanks, s',
    [{ name: "search", arguments: {} }],
    "",
  ],
  [
    "braces in strings do not count",
    "<tool_call>",
    '<tool_call>{"name":"search","arguments":{"q":"}{\\"}"}}',
    [{ name: "search", arguments: { q: '}{"}' } }],
    "",
  ],
];

describe("the generic parser of tool calls", () => {
  test.each(cases)("%s", (_, tag, text, calls, content) => {
    for (const pieces of [[text], [...text], text.match(/.{1,7}/gs) ?? []]) {
      expect(read(tag, pieces)).toEqual({ content, calls: calls as never });
    }
  });
});
