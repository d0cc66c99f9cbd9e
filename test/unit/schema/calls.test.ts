/** Which forms of calls are known, and what follows their tag. */
import { expect, test } from "bun:test";
import { parserTraits } from "../../../src/model/parser-traits.ts";
import { callGrammar } from "../../../src/schema/calls/grammar.ts";
import { callSyntax } from "../../../src/schema/calls/syntax.ts";

const hermes = `<tool_call>
{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
</tool_call>`;
const setting = (lenient: boolean) => ({ lenient, control: () => undefined });
const tool = (name: string, parameters?: Record<string, unknown>) =>
  ({ type: "function", function: { name, parameters } }) as never;

test("forms that a template shows for sure", () => {
  const form = (tag: string, template: string) => callSyntax(undefined, tag, template);
  expect(form("<tool_call>", hermes)).toMatchObject({
    tags: ["<tool_call>"],
    form: { list: "no" },
  });
  const mistral = '[TOOL_CALLS] [{"name": "{{ .Name }}", "arguments": {{ .Arguments }}}]';
  const list = { tags: ["[TOOL_CALLS]"], form: { list: "yes", argumentsKey: "arguments" } };
  for (const tag of ["[TOOL_CALLS]", "[TOOL_CALLS] [", "[TOOL_CALLS]["]) {
    expect(form(tag, mistral)).toMatchObject(list);
  }
  const llama = '<|start_header_id|>{"name": "{{ .Name }}", "parameters": {{ .Arguments }}}';
  expect(form("{", llama)).toMatchObject({ atStart: true, form: { opening: "name" } });
  const granite = '<|tool_call|>{"name": "{{ .Name }}", "arguments": {{ .Arguments }}}';
  expect(form("<|tool_call|>", granite)).toMatchObject({ form: { list: "maybe" } });
  const command =
    'Action: ```json\n[{{ range . }}{ "tool_name": "{{ .Name }}", "parameters": {{ .Arguments }} }';
  expect(form("Action: ```json\n[", command)).toMatchObject({
    tags: ["Action: ```json\n["],
    form: { nameKey: "tool_name", argumentsKey: "parameters", list: "opened" },
  });
  // A word that may stand in any sentence is no tag without its bracket.
  const words = 'functools{"name": "{{ .Name }}", "arguments": {{ .Arguments }}}';
  expect(form("functools", words)).toBeUndefined();
  expect(form("functools[", words)).toMatchObject({
    tags: ["functools["],
    form: { list: "opened" },
  });
});

test("forms of built-in parsers", () => {
  expect(callSyntax("qwen3", "", "")).toMatchObject({
    tags: ["<tool_call>"],
    form: { kind: "json" },
  });
  expect(callSyntax("qwen3-coder", "", "")).toMatchObject({ form: { kind: "xml" } });
  expect(callSyntax("glm-4.7", "", "")).toMatchObject({ form: { kind: "pairs" } });
  expect(callSyntax("cohere", "", "")).toMatchObject({ form: { idKey: "tool_call_id" } });
  expect(callSyntax("harmony", "", "")).toMatchObject({ inThought: true, next: "end" });
  for (const [name, { tools }] of parserTraits) {
    expect([name, callSyntax(name, "", "") !== undefined]).toEqual([name, tools]);
  }
});

test("other forms are left alone", () => {
  for (const parser of ["olmo3-think", "passthrough", "toString"]) {
    expect(callSyntax(parser, "", "")).toBeUndefined();
  }
  expect(callSyntax(undefined, "<tool_call>", "<tool_call><function=f>")).toBeUndefined();
  expect(callSyntax(undefined, "{", "plain")).toBeUndefined();
  expect(callSyntax(undefined, "<calls>", "<calls>{{ json . }}")).toBeUndefined();
});

test("a grammar has a rule for each tool, with its own schema, and forces no tokens", () => {
  const syntax = callSyntax(undefined, "<tool_call>", hermes);
  if (syntax === undefined) throw new Error("the form is known");
  const grammar =
    callGrammar(syntax, [tool("a", { required: ["x"] }), tool('b"')], setting(true)) ?? "";
  const lines = grammar.split("\n");
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

test("marks that are control tokens are written by number", () => {
  const syntax = callSyntax("gemma4", "", "");
  if (syntax === undefined) throw new Error("the form is known");
  const control = (text: string) => (text === '<|"|>' ? 7 : undefined);
  const lines = callGrammar(syntax, [tool("f")], { lenient: false, control })?.split("\n") ?? [];
  expect(lines).toContain("text: <[7]> said");
  expect(lines).toContain('c0: "call:f" b0_0 "<tool_call|>"');
});

test("a tool gets no arguments but those that it names, unless it says something about others", () => {
  const syntax = callSyntax("qwen3", "", "");
  if (syntax === undefined) throw new Error("the form is known");
  const schemaOf = (parameters: Record<string, unknown>): unknown => {
    const grammar = callGrammar(syntax, [tool("f", parameters)], setting(false)) ?? "";
    return JSON.parse(/^a0: %json (.*)$/m.exec(grammar)?.[1] ?? "");
  };
  const point = { type: "object", properties: { x: { type: "integer" } } };
  expect(
    schemaOf({ properties: { at: point, list: { type: "array", items: point } } }),
  ).toMatchObject({
    additionalProperties: false,
    properties: {
      at: { additionalProperties: false },
      list: { items: { additionalProperties: false } },
    },
  });
  expect(schemaOf({ ...point, additionalProperties: true })).toMatchObject({
    additionalProperties: true,
  });
  expect(schemaOf({ ...point, anyOf: [{}] })).not.toHaveProperty("additionalProperties");
  expect(schemaOf({})).not.toHaveProperty("additionalProperties");
});

test("names that a form cannot write leave calls free", () => {
  const odd: readonly [parser: string, name: string, key: string][] = [
    ["qwen3-coder", "a>b", "k"],
    ["qwen3-coder", "a", "k v"],
    ["glm-4.7", "a<b", "k"],
    ["lfm2", "2nd", "k"],
    ["olmo3", "a", "k-v"],
    ["gemma4", "a{", "k"],
    ["gemma4", "a", "k v"],
    ["glimmer", 'a"b', "k"],
    ["ministral", "a[b", "k"],
  ];
  for (const [parser, name, key] of odd) {
    const syntax = callSyntax(parser, "", "");
    if (syntax === undefined) throw new Error(`no form of ${parser}`);
    const parameters = { properties: { [key]: { type: "string" } } };
    expect(callGrammar(syntax, [tool(name, parameters)], setting(false))).toBeUndefined();
  }
});
