/** Which forms of calls are known, and what follows their tag. */
import { expect, test } from "bun:test";
import { callGrammar, callSyntax } from "../../../src/schema/tool-calls.ts";

const hermes = `<tool_call>
{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
</tool_call>`;

test("forms that a template or a parser shows for sure", () => {
  expect(callSyntax(undefined, "<tool_call>", hermes)).toMatchObject({ tag: "<tool_call>" });
  expect(callSyntax("qwen3", "", "")).toMatchObject({ tag: "<tool_call>" });
  const mistral = '[TOOL_CALLS] [{"name": "{{ .Name }}", "arguments": {{ .Arguments }}}]';
  expect(callSyntax(undefined, "[TOOL_CALLS]", mistral)).toMatchObject({ list: true });
  const llama = '<|start_header_id|>{"name": "{{ .Name }}", "parameters": {{ .Arguments }}}';
  expect(callSyntax(undefined, "{", llama)).toMatchObject({ atStart: true });
});

test("other forms are left alone", () => {
  expect(callSyntax("qwen3-coder", "", "")).toBeUndefined();
  expect(callSyntax(undefined, "<tool_call>", "<tool_call><function=f>")).toBeUndefined();
  expect(callSyntax(undefined, "{", "plain")).toBeUndefined();
});

test("a grammar has a rule for each tool, with its own schema, and forces no tokens", () => {
  const syntax = callSyntax(undefined, "<tool_call>", hermes);
  if (syntax === undefined) throw new Error("the form is known");
  const tool = (name: string, parameters?: Record<string, unknown>) =>
    ({ type: "function", function: { name, parameters } }) as never;
  const lines = callGrammar(syntax, [tool("a", { required: ["x"] }), tool('b"')], true).split("\n");
  expect(lines[0]).toBe('%llguidance {"no_forcing": true}');
  expect(lines).toContain("call: c0 | c1");
  expect(lines.find((line) => line.startsWith("c1:"))).toContain(
    JSON.stringify(JSON.stringify('b"').slice(1)),
  );
  const schema = lines.find((line) => line.startsWith("a0:"))?.slice("a0: %json ".length) ?? "";
  expect(JSON.parse(schema)).toMatchObject({
    type: "object",
    required: ["x"],
    "x-guidance": { lenient: true },
  });
});
