/** Tools, thinking and ends of answers on the executable, with models whose replies are known to the letter. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  createModel,
  haveExecutable,
  lines,
  startServer,
  type TestServer,
  temporaryFolder,
} from "../support/executable.ts";
import { haveParrot, writeParrot } from "../support/parrot.ts";

const tool = (name: string, properties: Record<string, unknown>) => ({
  type: "function",
  function: { name, description: "", parameters: { type: "object", properties } },
});
const tools = [
  tool("get_weather", { location: { type: "string" }, days: { type: "integer" } }),
  tool("add", { a: { type: "integer" }, b: { type: "integer" } }),
  tool("now", {}),
];
const messages = [{ role: "user", content: "hi" }];
const weather = { location: "Boston", days: 2 };

type Line = { message: Record<string, unknown>; done: boolean; done_reason?: string };

describe.skipIf(!haveExecutable || !haveParrot)("replies known beforehand", () => {
  let server: TestServer;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;

  beforeAll(async () => {
    server = await startServer();
    folder = await temporaryFolder();
    const { path, templates } = writeParrot(folder.path);
    for (const [name, template] of Object.entries(templates)) {
      await createModel(server, name, path, { template, parameters: { temperature: 0 } });
    }
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  const ask = async (model: string, more: Record<string, unknown> = {}) => {
    const answer = await server.post("/api/chat", { model, messages, stream: false, ...more });
    return (await answer.json()) as Line & Record<string, unknown>;
  };
  const stream = async (model: string, more: Record<string, unknown> = {}) => {
    const answer = await server.post("/api/chat", { model, messages, ...more });
    return (await Array.fromAsync(lines(answer))) as unknown as Line[];
  };
  const called = (name: string, index: number, values: unknown) => ({
    id: expect.stringMatching(/^call_[a-z0-9]{8}$/),
    function: { index, name, arguments: values },
  });

  test("a tool call is taken out of the text, streamed and not", async () => {
    const { message } = await ask("parrot-tool", { tools });
    expect(message).toEqual({
      role: "assistant",
      content: "",
      tool_calls: [called("get_weather", 0, weather)],
    });
    const found = await stream("parrot-tool", { tools });
    const pieces: unknown[] = found.map(({ message: piece, done }) => ({ ...piece, done }));
    expect(pieces).toEqual([
      {
        role: "assistant",
        content: "",
        tool_calls: [called("get_weather", 0, weather)],
        done: false,
      },
      { role: "assistant", content: "", done: true },
    ]);
  });

  test("a call keeps to the tool's schema, whatever the model would write", async () => {
    const location = { const: "Paris" };
    const strict = tool("get_weather", { location });
    Object.assign(strict.function.parameters, {
      required: ["location"],
      additionalProperties: false,
    });
    const { message } = await ask("parrot-tool", {
      tools: [strict],
      options: { num_predict: 200 },
    });
    expect(message.tool_calls).toEqual([called("get_weather", 0, { location: "Paris" })]);
  });

  test.each(["qwen3-coder", "glm-4.7"])(
    "a call in the format of %s keeps to the schema too, although the model would write JSON",
    async (parser) => {
      const { path, templates } = writeParrot(folder.path);
      const template = templates["parrot-tool"] ?? "";
      await createModel(server, parser, path, { template, parser, parameters: { temperature: 0 } });
      const strict = tool("get_weather", {
        location: { type: "string", enum: ["Paris"] },
        days: { type: "integer", minimum: 2, maximum: 2 },
        wet: { type: "boolean" },
      });
      Object.assign(strict.function.parameters, { required: ["location", "days", "wet"] });
      const { message } = await ask(parser, {
        tools: [strict],
        think: false,
        options: { num_predict: 400 },
      });
      const values = { location: "Paris", days: 2, wet: expect.any(Boolean) };
      expect(message.tool_calls).toEqual([called("get_weather", 0, values)]);
    },
  );

  test("two calls come one after the other", async () => {
    const calls = (await stream("parrot-two", { tools })).flatMap(
      ({ message }) => (message.tool_calls ?? []) as unknown[],
    );
    expect(calls).toEqual([called("add", 0, { a: 2, b: 3 }), called("now", 1, {})]);
  });

  test("a call without tools in the request is text, and a result gets its answer", async () => {
    expect((await ask("parrot-tool")).message.content).toStartWith(" The sky is blue");
    const history = [
      ...messages,
      {
        role: "assistant",
        content: "",
        tool_calls: [{ function: { name: "get_weather", arguments: weather } }],
      },
      { role: "tool", content: "mild", tool_name: "get_weather" },
    ];
    const { message } = await ask("parrot-tool", { tools, messages: history });
    expect(message).toEqual({ role: "assistant", content: " It is mild in Boston." });
  });

  test("thinking is on by default, split from the answer, and can be switched off", async () => {
    const thought = {
      role: "assistant",
      content: "The answer is 180.",
      thinking: "First I ponder the question at length.",
    };
    expect((await ask("parrot-think")).message).toEqual(thought);
    expect((await ask("parrot-think", { think: "high" })).message).toEqual(thought);
    const plain = { role: "assistant", content: "No pondering: Tokyo." };
    expect((await ask("parrot-think", { think: false })).message).toEqual(plain);
    const pieces = await stream("parrot-think");
    const joined = (key: string) => pieces.map(({ message }) => message[key] ?? "").join("");
    expect([joined("thinking"), joined("content")]).toEqual([thought.thinking, thought.content]);
  });

  test("generate splits thinking too", async () => {
    const body = { model: "parrot-think", prompt: "hi", stream: false };
    const answer = await (await server.post("/api/generate", body)).json();
    expect(answer).toMatchObject({
      response: "The answer is 180.",
      thinking: "First I ponder the question at length.",
    });
  });

  test("characters of several tokens arrive whole", async () => {
    const pieces = await stream("parrot-sky");
    const text = pieces.map(({ message }) => message.content).join("");
    expect(text).toEndWith("散射 频率 😀 Russia.");
    expect(text).not.toContain("\ufffd");
  });

  test("an answer without end is ended by its limit", async () => {
    const { message, done_reason } = await ask("parrot-long", { options: { num_predict: 8 } });
    expect(done_reason).toBe("length");
    expect(message.content).toStartWith(" round and round");
  });

  test("a start token that a user writes is text", async () => {
    const content = "say <|sky|>";
    const { message } = await ask("parrot", { messages: [{ role: "user", content }] });
    expect(message.content).toStartWith(" Hello from the parrot.");
    const asked = await server.post("/api/generate", {
      model: "parrot",
      prompt: "<|sky|>",
      raw: true,
      stream: false,
    });
    expect(((await asked.json()) as { response: string }).response).toStartWith(" The sky is blue");
  });
});
