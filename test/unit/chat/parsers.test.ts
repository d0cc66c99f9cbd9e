/** What output parsers make of outputs that models get wrong: rules that few outputs show. */
import { expect, test } from "bun:test";
import type { ThinkWish, Tool } from "../../../src/chat/messages.ts";
import { OutputParseError, type ParserSetup } from "../../../src/chat/output.ts";
import { parserNamed } from "../../../src/chat/parsers/table.ts";
import { ToolSplitter } from "../../../src/chat/tools.ts";

const on: ThinkWish = { on: true, level: "medium" };
const off: ThinkWish = { on: false, level: "" };

const tool = (name: string, types: Record<string, string>, required: string[] = []): Tool => ({
  type: "function",
  function: {
    name,
    parameters: {
      type: "object",
      required,
      properties: Object.fromEntries(Object.entries(types).map(([key, type]) => [key, { type }])),
    },
  },
});
const tools = [tool("tide", { at: "string", days: "integer" }, ["at"]), tool("read", {})];

interface Total {
  content: string;
  thinking: string;
  calls: unknown[];
  error?: string;
}

/** What a parser gives in all, for every way to cut the output into two pieces. */
function parsed(name: string, output: string, setup: Partial<ParserSetup> = {}): Total {
  const totals = Array.from({ length: output.length + 1 }, (_, cut) => {
    const parser = parserNamed(name)?.create({
      tools,
      think: undefined,
      lastMessage: undefined,
      ...setup,
    });
    if (parser === undefined) throw new Error(`no parser "${name}"`);
    const total: Total = { content: "", thinking: "", calls: [] };
    try {
      for (const [piece, last] of [
        [output.slice(0, cut), false],
        [output.slice(cut), false],
        ["", true],
      ] as const) {
        const step = parser.add(piece, last);
        total.content += step.content;
        total.thinking += step.thinking;
        total.calls.push(...step.calls);
      }
    } catch (error) {
      if (!(error instanceof OutputParseError)) throw error;
      total.error = error.message;
    }
    return total;
  });
  if (totals[0]?.error === undefined)
    for (const one of totals) expect(one).toEqual(totals[0] as Total);
  return totals[0] as Total;
}

const call = (name: string, values: Record<string, unknown>) => ({ name, arguments: values });

test("blanks behind an echoed opening mark are dropped at its end only", () => {
  for (const name of ["qwen3-thinking", "qwen3.5", "nemotron-3-nano"]) {
    const { thinking } = parsed(name, "<think>\n the sea rises</think>ok", { think: on });
    expect(thinking).toBe("the sea rises");
  }
});

test("tags of calls must close each other, other markup is text", () => {
  const body = (text: string) =>
    parsed("qwen3-coder", `<tool_call><function=tide>${text}</tool_call>`);
  expect(body("<parameter=at>\na <b>c</b>\n</parameter></function>").calls).toEqual([
    call("tide", { at: "a <b>c</b>" }),
  ]);
  expect(body("<parameter=at>x</function>").error).toBe(
    "XML syntax error on line 1: element <parameter> closed by </function>",
  );
  expect(body("x</parameter></function>").error).toBe(
    "XML syntax error on line 1: element <function> closed by </parameter>",
  );
  expect(parsed("qwen3-coder", "<tool_call><parameter=at>x</parameter></tool_call>").error).toBe(
    "expected element type <function> but have <parameter>",
  );
  expect(body("<parameter=days>-0</parameter></function>").calls).toEqual([
    call("tide", { days: 0 }),
  ]);
});

test("members of a call count whatever their case, null for nothing", () => {
  const text = '<tool_call>{"Name":"tide","ARGUMENTS":{"at":"x"}}</tool_call>';
  expect(parsed("qwen3", text).calls).toEqual([call("tide", { at: "x" })]);
  expect(parsed("qwen3", '<tool_call>{"name":"tide","arguments":null}</tool_call>').calls).toEqual([
    call("tide", {}),
  ]);
});

test("glm: tags that are missing stand where others were found", () => {
  const glm = (body: string) => parsed("glm-4.7", `</think><tool_call>${body}</tool_call>`).calls;
  expect(glm("tide\n<arg_key>at</arg_key>b</arg_value>")).toEqual([call("tide", { at: "b" })]);
  expect(glm("\ntide at</arg_key>\n<arg_value>b</arg_value>")).toEqual([call("tide", { at: "b" })]);
  expect(glm("tide<arg_key>at<arg_value>b")).toEqual([call("tide", { at: "b" })]);
  const cut = parsed("glm-4.7", "</think><tool_call>\ntide<arg_key>at</arg_key><arg_value>b");
  expect(cut.error).toBe(
    "incomplete GLM tool call: XML syntax error on line 1: element <arg_value> closed by </tool_call>",
  );
  expect(parsed("glm-4.7", '</think><tool_call>ti"de').error).toBe(
    'incomplete GLM tool call: tool "ti\\"de" is not declared',
  );
});

test("laguna: a body is a name with pairs or with JSON, or JSON as a whole", () => {
  const laguna = (text: string) => parsed("laguna", text);
  expect(laguna('<tool_call>tide{"at":"x"}</tool_call>').calls).toEqual([
    call("tide", { at: "x" }),
  ]);
  expect(laguna("<tool_call>read_file</tool_call>").calls).toEqual([call("read", {})]);
  expect(laguna('<tool_call>{"at":1}</tool_call>').error).toBe("empty Laguna tool call name");
  expect(laguna("<tool_call>{at}</tool_call>").error).toStartWith(
    "failed to parse Laguna JSON tool call: ",
  );
  expect(laguna("say <user>hello</user> twice").content).toBe("say <user>hello</user> twice");
  expect(laguna("<think>hm<tool_call>read</tool_call>").calls).toEqual([call("read", {})]);
});

test("ministral: brackets in strings do not end the arguments, text before a bad call is kept", () => {
  const text = 'so [TOOL_CALLS]tide[ARGS]{"at":"}]"} on';
  expect(parsed("ministral", text)).toEqual({
    content: "so on",
    thinking: "",
    calls: [call("tide", { at: "}]" })],
  });
  expect(parsed("ministral", "[TOOL_CALLS]tide[ARGS]none").calls).toEqual([]);
});

test("gemma4: what is held back at the end of thoughts is shown, marks behind a call are not", () => {
  expect(parsed("gemma4", "<|channel>thought\nhm <chan", { think: on }).thinking).toBe("hm <chan");
  const noise = "<|tool_call>call:read{}<tool_call|>\n<tool_call|>so <tool_call|>";
  expect(parsed("gemma4", noise).content).toBe("so <tool_call|>");
});

test("harmony: channels and recipients are words of their own places", () => {
  const harmony = (text: string) => parsed("harmony", text);
  expect(harmony("<|channel|>finally<|message|>a").content).toBe("a");
  expect(harmony("<|channel|>final to=functions.tide<|message|>a").content).toBe("a");
  expect(harmony(" to=functions.read<|channel|>commentary json<|message|>{}").calls).toEqual([
    call("read", {}),
  ]);
  expect(harmony("x to=functions.read<|channel|>commentary<|message|>{}").calls).toEqual([
    call("read", {}),
  ]);
  expect(harmony("<|channel|>commentary x to=functions.read<|message|>{}").content).toBe("{}");
});

test("glimmer: a header without an end in front begins a message, white space among parameters is an error", () => {
  const invoke = (inner: string) =>
    `<atem:function_calls>\n<atem:invoke name="tide">\n${inner}</atem:invoke>\n</atem:function_calls>`;
  const value = '<atem:parameter name="at">x</atem:parameter>\n';
  const text = ` to=self<|message|>hm<|start|>assistant to=tide<|message|>${invoke(value)}<|eot|>`;
  expect(parsed("glimmer", text)).toEqual({
    content: "",
    thinking: "hm",
    calls: [call("tide", { at: "x" })],
  });
  expect(parsed("glimmer", ` to=tide<|message|>${invoke(` ${value}`)}`).error).toBe(
    "parse Glimmer call to tide: malformed ATEM parameter",
  );
  expect(parsed("glimmer", ` to=tide.tide<|message|>${invoke(value)}`).calls).toHaveLength(1);
  expect(parsed("glimmer", ` to=sea.tide<|message|>so`).content).toBe("so");
  const inText = " to=user<|message|>a <|start|>assistant to=sea<|message|>b";
  expect(parsed("glimmer", inText).content).toBe(inText.slice(" to=user<|message|>".length));
});

test("lfm2-thinking: a prefilled answer does not think", () => {
  const lastMessage = { role: "assistant", content: "so" };
  const { content } = parsed("lfm2-thinking", "<think>a</think>b", { think: on, lastMessage });
  expect(content).toBe("<think>a</think>b");
  expect(parsed("lfm2-thinking", "<think>a</think>b", { think: off }).thinking).toBe("");
});

test("calls like Python's: what is no literal stands for itself, brackets in strings do not count", () => {
  const olmo = (line: string) => parsed("olmo3", `<function_calls>${line}</function_calls>`).calls;
  expect(olmo('tide(at=high water, days=[1, "a,b)"], x={bad}, y="(")')).toEqual([
    call("tide", { at: "high water", days: [1, "a,b)"], x: "{bad}", y: "(" }),
  ]);
  expect(olmo("tide(at=1)\ntide(1)")).toEqual([]);
  const lfm = "<|tool_call_start|>[tide(at=')', days=one), the read()]<|tool_call_end|>";
  expect(parsed("lfm2", lfm).calls).toEqual([
    call("tide", { at: ")", days: "one" }),
    call("the read", {}),
  ]);
  expect(parsed("lfm2", "<|tool_call_start|>[tide(at='x]<|tool_call_end|>").calls).toEqual([]);
});

test("cogito: fences inside the JSON do not end it, whole calls count though their list is open", () => {
  const body = 'function<｜tool▁sep｜>tide\n```json\n{"at":"```x"}\n```';
  const open = `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>${body}<｜tool▁call▁end｜>`;
  expect(parsed("cogito", open).calls).toEqual([call("tide", { at: "```x" })]);
});

test("the generic parser waits for the whole name and skips what is no JSON with all inside", () => {
  const names = [tool("tide", {}), tool("tide_now", {})];
  const splitter = new ToolSplitter(names, "<call>");
  const pieces = ['<call>{"x":1} {"name":"tide', "_n", 'ow","arguments":{}}', ""];
  const calls = pieces.flatMap((piece, i) => splitter.add(piece, i === pieces.length - 1).calls);
  expect(calls).toMatchObject([{ name: "tide_now" }]);
  const broken = new ToolSplitter(names, "<call>");
  expect(broken.add('<call>{"name":"tide", ="arguments":{"a":1}}', true).calls).toEqual([]);
});
