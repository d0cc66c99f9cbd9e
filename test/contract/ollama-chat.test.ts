/** `POST /api/chat` on a scripted engine: whole answers, conversations, tools, thinking (api.md 6, 7). */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { EngineCrashedError } from "../../src/errors.ts";
import { type Application, masked, openApplication } from "../support/application.ts";

let application: Application;
beforeEach(async () => {
  application = openApplication();
  await application.create("m");
});
afterEach(() => application[Symbol.asyncDispose]());

const path = "/api/chat";
const hi = [{ role: "user", content: "Hi" }];
const chatMl = "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ end }}<assistant>";
const prompts = () =>
  application.engine.requests.map(({ prompt }) =>
    prompt
      .map((part) => {
        if ("media" in part) return "(image)";
        return "text" in part ? part.text : String.fromCodePoint(...part.tokens);
      })
      .join(""),
  );

describe("an answer", () => {
  test("in one piece has all keys in Ollama's order", async () => {
    const { status, body } = await application.post(path, {
      model: "m",
      messages: hi,
      stream: false,
    });
    expect(status).toBe(200);
    expect(JSON.stringify(masked(body))).toBe(
      JSON.stringify({
        model: "m",
        created_at: "time",
        message: { role: "assistant", content: "Hello there" },
        done: true,
        done_reason: "stop",
        total_duration: "duration",
        load_duration: "duration",
        prompt_eval_count: 22,
        prompt_eval_duration: 3000,
        eval_count: 12,
        eval_duration: 4000,
      }),
    );
  });

  test("streams by default, with a message in every object", async () => {
    const lines = await application.lines(path, { model: "m", messages: hi });
    expect(lines.map((line) => JSON.stringify(masked(line)))).toEqual(
      [
        {
          model: "m",
          created_at: "time",
          message: { role: "assistant", content: "Hello" },
          done: false,
        },
        {
          model: "m",
          created_at: "time",
          message: { role: "assistant", content: " there" },
          done: false,
        },
        {
          model: "m",
          created_at: "time",
          message: { role: "assistant", content: "" },
          done: true,
          done_reason: "stop",
          total_duration: "duration",
          load_duration: "duration",
          prompt_eval_count: 22,
          prompt_eval_duration: 3000,
          eval_count: 12,
          eval_duration: 4000,
        },
      ].map((line) => JSON.stringify(line)),
    );
  });

  test("ends with an error line when the engine ends", async () => {
    application.engine.answers = [{ steps: ["a", new EngineCrashedError("signal 9")] }];
    const lines = await application.lines(path, { model: "m", messages: hi });
    expect(masked(lines.at(-1))).toEqual({
      error: "an error was encountered while running the model: signal 9",
    });
  });
});

describe("loading and unloading", () => {
  test.each([
    [{}, "load"],
    [{ messages: [], stream: false }, "load"],
    [{ messages: null, keep_alive: 0 }, "unload"],
  ])("%p", async (fields, done_reason) => {
    const { status, body } = await application.post(path, { model: "m", ...fields });
    expect([status, masked(body)]).toEqual([
      200,
      {
        model: "m",
        created_at: "time",
        message: { role: "assistant", content: "" },
        done: true,
        done_reason,
      },
    ]);
    expect(application.engine.requests).toEqual([]);
  });

  test("the last keep_alive stays for requests without one", async () => {
    await application.post(path, { model: "m", keep_alive: "1h" });
    await application.post(path, { model: "m", messages: hi, stream: false });
    const answer = await application.send("GET", "/api/ps");
    const { models } = (await answer.json()) as { models: { expires_at: string }[] };
    const minutes = (Date.parse(models[0]?.expires_at ?? "") - Date.now()) / 60_000;
    expect(Math.round(minutes)).toBe(60);
  });
});

describe("the conversation", () => {
  test("has the model's system and history in front, unless the request begins with a system", async () => {
    const history = [{ role: "user", content: "q" }];
    await application.create("s", { template: chatMl, system: "S", messages: history });
    await application.post(path, { model: "s", messages: hi, stream: false });
    const own = [{ role: "System", content: "R" }, ...hi];
    await application.post(path, { model: "s", messages: own, stream: false });
    expect(prompts()).toEqual([
      "<system>S<user>q\n\nHi<assistant>",
      "<user>q<system>R<user>Hi<assistant>",
    ]);
  });

  test("goes through the engine's template when the model has none", async () => {
    await application.post(path, { model: "m", messages: hi, stream: false });
    expect(prompts()).toEqual(["[user] Hi\n[assistant] "]);
  });

  test("loses its oldest messages when it is too long, but never a system message", async () => {
    await application.create("c", { template: chatMl });
    const messages = [
      { role: "system", content: "S" },
      ...Array.from({ length: 9 }, (_, i) => ({
        role: i % 2 === 0 ? "user" : "assistant",
        content: `${i}`.repeat(20),
      })),
    ];
    const options = { num_ctx: 80 };
    const wanted = { model: "c", messages, options, stream: false };
    await application.post(path, wanted);
    const fitted = `<system>S<user>${"8".repeat(20)}<assistant>`;
    expect(prompts()[0]?.startsWith("<system>S<")).toBe(true);
    expect(prompts()[0]?.endsWith(fitted.slice(9))).toBe(true);
    expect((prompts()[0] ?? "").length).toBeLessThanOrEqual(80);
    const debug = await application.post(path, { ...wanted, _debug_render_only: true });
    expect(masked(debug.body)).toEqual({
      model: "c",
      created_at: "time",
      message: { role: "", content: "" },
      done: false,
      _debug_info: { rendered_template: prompts()[0] ?? "" },
    });
  });

  test("ignores what only generate has", async () => {
    const fields = { system: "x", template: "y", raw: true, context: [1], prompt: "p" };
    await application.post(path, { model: "m", messages: hi, stream: false, ...fields });
    expect(prompts()).toEqual(["[user] Hi\n[assistant] "]);
  });

  test("with images is refused by a model without eyes", async () => {
    const messages = [{ role: "user", content: "see", images: ["aGk="] }];
    const answer = await application.post(path, { model: "m", messages });
    expect(answer).toEqual({
      status: 400,
      body: { error: "Multimodal data provided, but model does not support multimodal requests." },
    });
  });
});

describe("tools", () => {
  const template = `{{ if .Tools }}{{ .Tools }}{{ end }}{{ range .Messages }}{{ .Content }}{{ if .ToolCalls }}{{ range .ToolCalls }}<call>{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}</call>{{ end }}{{ end }}{{ end }}`;
  const tools = [
    {
      type: "function",
      function: { name: "f", description: "", parameters: { type: "object", properties: {} } },
    },
  ];

  test("are refused by a model whose template has no place for them", async () => {
    expect(await application.post(path, { model: "m", messages: hi, tools })).toEqual({
      status: 400,
      body: { error: "registry.ollama.ai/library/m:latest does not support tools" },
    });
  });

  test("a call is taken out of the text, with an id and an index", async () => {
    await application.create("t", { template });
    const steps = ['<call>{"name": "f", "argu', 'ments": {"a": 1}}', "</call>"];
    application.engine.answers = [{ steps }];
    const wanted = { model: "t", messages: hi, tools, stream: false };
    const { body } = await application.post(path, wanted);
    const { message } = body as { message: { tool_calls: { id: string }[] } };
    expect<unknown>(message).toEqual({
      role: "assistant",
      content: expect.any(String),
      tool_calls: [
        {
          id: expect.stringMatching(/^call_[a-z0-9]{8}$/),
          function: { index: 0, name: "f", arguments: { a: 1 } },
        },
      ],
    });
  });
});

describe("thinking", () => {
  const template =
    "{{ range .Messages }}{{ .Role }}: {{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}\n{{ end }}assistant: ";

  test("streams beside the content", async () => {
    await application.create("t", { template });
    application.engine.answers = [{ steps: ["<think>a", "b</think>", "c"] }];
    const lines = await application.lines(path, { model: "t", messages: hi });
    expect(lines.map((line) => (line as { message: object }).message)).toEqual([
      { role: "assistant", content: "", thinking: "a" },
      { role: "assistant", content: "", thinking: "b" },
      { role: "assistant", content: "c" },
      { role: "assistant", content: "" },
    ]);
  });
});

test("a model that names a built-in parser is read by it", async () => {
  await application.create("p", { parser: "qwen3-thinking", template: chatMl });
  application.engine.answers = [{ steps: ["hm</think>", "yes"] }];
  const { body } = await application.post(path, { model: "p", messages: hi, stream: false });
  expect((body as { message: object }).message).toEqual({
    role: "assistant",
    content: "yes",
    thinking: "hm",
  });
});

test("text and calls of one step are one object", async () => {
  await application.create("p", { parser: "qwen3", template: chatMl });
  const call = '<tool_call>{"name":"f","arguments":{}}</tool_call>';
  application.engine.answers = [{ steps: [`so ${call}then`] }];
  const [first] = await application.lines(path, { model: "p", messages: hi });
  expect<unknown>((first as { message: object }).message).toEqual({
    role: "assistant",
    content: "sothen",
    tool_calls: [{ id: expect.any(String), function: { index: 0, name: "f", arguments: {} } }],
  });
});

test("what a template can counts beside a renderer", async () => {
  const template =
    "{{ .Tools }}{{ range .Messages }}{{ if .Thinking }}<t>{{ .Thinking }}</t>{{ end }}{{ end }}";
  await application.create("r", { renderer: "qwen3-coder", template });
  const wish = { model: "r", messages: hi, stream: false, think: true };
  expect((await application.post(path, wish)).status).toBe(200);
});

test("a Go template prints no tools as null, and a list without any as one", async () => {
  const template = "{{ range .Messages }}{{ .Content }}{{ end }}{{ .Tools }}";
  await application.create("t", { template });
  await application.post(path, { model: "t", messages: hi, stream: false });
  await application.post(path, { model: "t", messages: hi, tools: [], stream: false });
  await application.post("/api/generate", { model: "t", prompt: "Hi", stream: false });
  expect(prompts()).toEqual(["Hinull", "Hi[]", "Hi[]"]);
});
