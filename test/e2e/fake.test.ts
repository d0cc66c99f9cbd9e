/** `hutch serve --fake`: a server for tests of clients, without weights and native code. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import {
  childrenOf,
  cleanEnvironment,
  executable,
  haveExecutable,
  lines,
  startServer,
  type TestServer,
  temporaryFolder,
} from "../support/executable.ts";

const linux = process.platform === "linux";

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Current weather",
    parameters: {
      type: "object",
      properties: { city: { enum: ["Rome"] }, days: { type: "integer", minimum: 1, maximum: 1 } },
      required: ["city", "days"],
    },
  },
};

async function object(answer: Response): Promise<Record<string, unknown>> {
  return (await answer.json()) as Record<string, unknown>;
}

const user = (content: string) => [{ role: "user", content }];

describe.skipIf(!haveExecutable)("a fake server", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let server: TestServer;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const env = { TMPDIR: folder.path };
    server = await startServer({ env, flags: ["--fake", "--fake-rate", "200"] });
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  test("says that it is fake, in its log and in every answer", async () => {
    expect(server.log()).toContain("this server is fake");
    for (const path of ["/", "/api/tags", "/api/nothing"]) {
      const answer = await server.request("GET", path);
      expect(answer.headers.get("x-hutch-fake")).toBe("true");
    }
  });

  test("answers for any model, always the same to the same question", async () => {
    const ask = { model: "no/such:model", prompt: "Tell me of rivers", stream: false };
    const [first, second] = [
      await server.post("/api/generate", ask),
      await server.post("/api/generate", ask),
    ];
    const { response, done_reason } = await object(first);
    expect({ response, done_reason }).toEqual({
      response: expect.stringMatching(/^[A-Z][a-z ]+\./),
      done_reason: "stop",
    });
    expect((await object(second)).response).toBe(response);
    const tags = (await object(await server.request("GET", "/api/tags"))).models;
    expect(tags).toContainEqual(expect.objectContaining({ name: "no/such:model" }));
  });

  test("streams at its rate, up to num_predict", async () => {
    const body = { model: "any", messages: user("Hello"), options: { num_predict: 21 } };
    const started = performance.now();
    const found = await Array.fromAsync(lines(await server.post("/api/chat", body)));
    // Twenty tokens come after the first, at 200 a second.
    expect(performance.now() - started).toBeGreaterThan(99);
    expect(found.at(-1)).toMatchObject({ done: true, done_reason: "length", eval_count: 21 });
    expect(found.length).toBeGreaterThan(15);
  });

  test("keeps to a schema, streaming or not, thinking or not", async () => {
    const format = {
      type: "object",
      properties: { name: { type: "string", minLength: 2 }, age: { type: "integer", minimum: 18 } },
      required: ["name", "age"],
      additionalProperties: false,
    };
    const valid = { name: expect.stringMatching(/^..+/), age: expect.any(Number) };
    const ask = { model: "any", messages: user("Who?"), format, think: true };
    const whole = await object(await server.post("/api/chat", { ...ask, stream: false }));
    const { content, thinking } = whole.message as { content: string; thinking: string };
    expect({ thinking, content: JSON.parse(content) }).toEqual({
      thinking: expect.stringMatching(/./),
      content: valid,
    });
    const streamed = await Array.fromAsync(lines(await server.post("/api/chat", ask)));
    const text = streamed.map(({ message }) => (message as { content: string }).content).join("");
    expect(text).toBe(content);
    const refused = { ...ask, format: { type: "integer", minimum: 5, maximum: 3 } };
    expect((await server.post("/api/chat", refused)).status).toBe(400);
  });

  test("calls a tool that is asked for, with valid arguments, and then answers in text", async () => {
    const ask = { model: "any", tools: [weather], stream: false };
    const call = await object(
      await server.post("/api/chat", { ...ask, messages: user("What is the weather in Rome?") }),
    );
    expect(call.message).toMatchObject({
      content: "",
      tool_calls: [{ function: { name: "get_weather", arguments: { city: "Rome", days: 1 } } }],
    });
    const messages = [
      ...user("What is the weather in Rome?"),
      call.message,
      { role: "tool", tool_name: "get_weather", content: "sunny" },
    ];
    const { message } = await object(await server.post("/api/chat", { ...ask, messages }));
    expect(message).toEqual({ role: "assistant", content: expect.stringMatching(/\.$/) });
    const none = await object(await server.post("/api/chat", { ...ask, messages: user("Hello") }));
    expect(none.message).toEqual({ role: "assistant", content: expect.stringMatching(/\.$/) });
  });

  test("embeds, shows, pulls, copies and deletes", async () => {
    const input = ["one", "two"];
    const { embeddings } = await object(await server.post("/api/embed", { model: "e", input }));
    expect((embeddings as number[][]).map(({ length }) => length)).toEqual([384, 384]);
    const near = ["a red apple", "the red apple", "quantum field theory"];
    const compared = await object(await server.post("/api/embed", { model: "e", input: near }));
    const [apple = [], other = [], far = []] = compared.embeddings as number[][];
    const product = (one: number[]) =>
      one.reduce((sum, value, i) => sum + value * (apple[i] ?? 0), 0);
    expect(product(other)).toBeGreaterThan(product(far) + 0.3);
    const { capabilities } = await object(await server.post("/api/show", { model: "e" }));
    expect(capabilities).toEqual(["completion", "vision", "tools", "insert", "thinking"]);
    const pulled = await Array.fromAsync(lines(await server.post("/api/pull", { model: "p" })));
    expect(pulled.at(-1)).toEqual({ status: "success" });
    const copy = { source: "p", destination: "q" };
    expect((await server.post("/api/copy", copy)).status).toBe(200);
    expect((await server.request("DELETE", "/api/delete", { model: "q" })).status).toBe(200);
    const pushed = await server.post("/api/push", { model: "p", stream: false });
    expect({ status: pushed.status, body: await pushed.json() }).toEqual({
      status: 501,
      body: { error: "a fake server transfers nothing" },
    });
  });

  test("frees a request that its client has left", async () => {
    const leaving = new AbortController();
    const body = { model: "any", messages: user("Hello") };
    const init = { signal: leaving.signal };
    const answer = await server.post("/api/chat", body, init);
    for await (const _ of lines(answer)) break;
    leaving.abort();
    expect((await server.post("/api/chat", { ...body, stream: false })).status).toBe(200);
  });

  test.skipIf(!linux)("loads no native library and starts no process", async () => {
    expect(await childrenOf(server.pid)).toEqual([]);
    const mapped = readFileSync(`/proc/${server.pid}/maps`, "utf8");
    expect(mapped).not.toMatch(/libllama|libggml|libhutch/);
    expect(existsSync(`${server.home}/.ollama`)).toBe(false);
    expect(existsSync(`${server.home}/.cache`)).toBe(false);
  });

  test("leaves nothing behind", async () => {
    expect(readdirSync(folder.path)).toEqual([expect.stringMatching(/^hutch-fake-/)]);
    expect(await server.stop()).toBe(0);
    expect(readdirSync(folder.path)).toEqual([]);
  });
});

describe.skipIf(!haveExecutable)("flags of the fake", () => {
  test("name the only models, and delay answers", async () => {
    const flags = ["--fake", "--fake-model", "a", "--fake-model", "b:1", "--fake-delay", "120"];
    await using server = await startServer({ flags: [...flags, "--fake-words", "3"] });
    const ask = { prompt: "x", stream: false };
    const started = performance.now();
    const { response } = await object(await server.post("/api/generate", { model: "a", ...ask }));
    expect(performance.now() - started).toBeGreaterThan(119);
    expect(String(response).split(" ")).toHaveLength(3);
    expect((await server.post("/api/generate", { model: "c", ...ask })).status).toBe(404);
    const pull = await server.post("/api/pull", { model: "c", stream: false });
    expect({ status: pull.status, body: await pull.json() }).toEqual({
      status: 500,
      body: { error: "pull model manifest: file does not exist" },
    });
    // Asked to end it takes its folder away.
    expect(await server.stop()).toBe(0);
  });

  test.each([
    [["--fake-rate", "5"], "flags of the fake go with --fake only"],
    [["--fake", "--fake-rate", "fast"], '--fake-rate "fast": expected a number'],
    [["--fake", "--fake-words", "0"], '--fake-words "0": expected a number'],
    [["--fake", "--fake-model", "a b"], '--fake-model "a b": no name of a model'],
  ])("refuse %j", async (flags, message) => {
    await using home = await temporaryFolder();
    const env = cleanEnvironment(home.path, { HUTCH_HOST: "127.0.0.1:0" });
    const child = Bun.spawn([executable, "serve", ...flags], { env, stderr: "pipe" });
    expect({ error: await new Response(child.stderr).text(), code: await child.exited }).toEqual({
      error: expect.stringContaining(message),
      code: 2,
    });
  });
});
