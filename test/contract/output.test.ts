/** What comes out of a model's text: named parsers in both routes, harmony's names, Jinja's syntaxes. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { jinjaMarks } from "../../src/chat/jinja-marks.ts";
import { type Application, openApplication } from "../support/application.ts";

let application: Application;
beforeEach(() => {
  application = openApplication();
});
afterEach(() => application[Symbol.asyncDispose]());

const messages = [{ role: "user", content: "hi" }];
const tool = (name: string) => ({
  type: "function",
  function: { name, description: "", parameters: { type: "object", properties: {} } },
});
const ask = async (model: string, more: Record<string, unknown> = {}) => {
  const body = { model, messages, stream: false, ...more };
  const answer = await application.post("/api/chat", body);
  return answer.body as { message: Record<string, unknown> };
};
const call = (name: string, values: unknown = {}) => ({
  id: expect.stringMatching(/^call_[a-z0-9]{8}$/),
  function: { index: 0, name, arguments: values },
});

describe("harmony", () => {
  const template =
    "{{ range .Tools }}<{{ .Function.Name }}>{{ end }}{{ range .Messages }}{{ .Content }}{{ range .ToolCalls }}[{{ .Function.Name }}]{{ end }}{{ end }}{{ .ThinkLevel }}";

  test("names tools as identifiers in the prompt, and back in calls; max is high", async () => {
    await application.create("h", { template, parser: "harmony" });
    const steps = ["<|channel|>commentary to=functions.get_it_now <|message|>", '{"a":1}'];
    application.engine.answers = [{ steps }];
    const history = [
      ...messages,
      {
        role: "assistant",
        content: "",
        tool_calls: [{ function: { name: "get.it-now", arguments: {} } }],
      },
    ];
    const more = { messages: history, tools: [tool("get.it-now")], think: "max" };
    const { message } = await ask("h", more);
    expect(message.tool_calls).toEqual([call("get.it-now", { a: 1 })]);
    const [request] = application.engine.requests;
    expect(request?.prompt).toEqual([
      { text: "<get_it_now>hi[get_it_now]high", parseSpecial: true },
    ]);
    expect(request?.visible).toContain("<|channel|>");
  });
});

describe("a named parser", () => {
  test("reads thinking and calls, in generate too, where calls stand in the last object", async () => {
    await application.create("q", { template: "{{ .Prompt }}", parser: "qwen3-thinking" });
    const steps = [
      "why",
      "</think>",
      "Well",
      "<tool_call>",
      '{"name":"f","arguments":{}}',
      "</tool_call>",
    ];
    application.engine.answers = [{ steps }];
    const { message } = await ask("q", { tools: [tool("f")] });
    expect(message).toEqual({
      role: "assistant",
      content: "Well",
      thinking: "why",
      tool_calls: [call("f")],
    });
    const lines = await application.lines("/api/generate", { model: "q", prompt: "hi" });
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatchObject({ response: "", thinking: "why", done: false });
    expect(lines[1]).toMatchObject({ response: "Well", done: false });
    expect(lines[2]).toMatchObject({
      response: "",
      done: true,
      tool_calls: [{ function: { index: 0, name: "f", arguments: {} } }],
    });
  });

  test("that meets a call which it cannot read ends the answer with an error", async () => {
    await application.create("q", { template: "{{ .Prompt }}", parser: "qwen3" });
    application.engine.answers = [{ steps: ["ok ", "<tool_call>{bad</tool_call>"] }];
    const body = { model: "q", messages, tools: [tool("f")] };
    const single = await application.post("/api/chat", { ...body, stream: false });
    expect(single).toEqual({
      status: 500,
      body: { error: expect.stringMatching(/^failed to parse JSON/) },
    });
    const lines = await application.lines("/api/chat", body);
    expect(lines.at(-1)).toEqual({ error: expect.stringMatching(/^failed to parse JSON/) });
    expect(application.engine.canceled).toBe(2);
  });
});

describe("a call beside content", () => {
  test("of one step is sent with it, and neither is lost", async () => {
    const template =
      "{{ .Tools }}{{ range .Messages }}{{ .Content }}{{ if .ToolCalls }}<call>{{ end }}{{ end }}";
    await application.create("t", { template });
    application.engine.answers = [{ steps: ['Look: <call>{"name":"f","arguments":{"a":2}}'] }];
    const lines = await application.lines("/api/chat", {
      model: "t",
      messages,
      tools: [tool("f")],
    });
    expect(lines.map((line) => (line as { message: unknown }).message)).toEqual([
      { role: "assistant", content: "Look: ", tool_calls: [call("f", { a: 2 })] },
      { role: "assistant", content: "" },
    ]);
  });

  test("text that only looks like a call comes out at the end", async () => {
    await application.create("t", { template: "{{ .Tools }}{{ range .Messages }}{{ end }}" });
    application.engine.answers = [{ steps: ['{"name":"g",', ' "x": 1'] }];
    const lines = await application.lines("/api/chat", {
      model: "t",
      messages,
      tools: [tool("f")],
    });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ message: { content: '{"name":"g", "x": 1' }, done: true });
  });
});

describe("a Jinja template", () => {
  const cases: [string, string, ReturnType<typeof jinjaMarks>][] = [
    [
      "qwen",
      "<think></think><tool_call>",
      {
        thinking: { open: "<think>", close: "</think>" },
        parser: undefined,
        toolTag: "<tool_call>",
      },
    ],
    [
      "qwen coder",
      "<tool_call><function=x><parameter=y>",
      { thinking: undefined, parser: "qwen3-coder", toolTag: "<tool_call>" },
    ],
    [
      "ministral",
      "[THINK][/THINK][TOOL_CALLS]x[ARGS]",
      {
        thinking: { open: "[THINK]", close: "[/THINK]" },
        parser: "ministral",
        toolTag: "[TOOL_CALLS]",
      },
    ],
    ["llama", "ipython tools", { thinking: undefined, parser: undefined, toolTag: "{" }],
  ];
  test.each(cases)("of %s shows how calls are written", (_, template, marks) => {
    expect(jinjaMarks(template)).toEqual(marks);
  });
});
