/** Deadlines on the compiled executable, with a runner that stands still at the wrong moment. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  childrenOf,
  createModel,
  haveExecutable,
  lines,
  runnerOf,
  startServer,
  type TestServer,
  testModel,
  until,
} from "../support/executable.ts";

const stories = testModel("stories260K-f32.gguf");
const ready = haveExecutable && stories !== undefined && process.platform === "linux";

describe.skipIf(!ready)("a deadline", () => {
  let server: TestServer;
  beforeAll(async () => {
    const env = { HUTCH_NUM_PARALLEL: "1", HUTCH_FIRST_TOKEN_TIMEOUT: "200ms" };
    server = await startServer({ env });
    await createModel(server, "stories", stories ?? "");
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  const request = (tokens: number) => ({
    model: "stories",
    prompt: "Tom",
    options: { num_predict: tokens, stop: ["<never>"] },
  });
  const ask = (headers: Record<string, string>, tokens = 4) =>
    server.post("/api/generate", request(tokens), { headers });

  /** The status and the last line of an answer. */
  async function endOf(answer: Response): Promise<[number, unknown]> {
    const text = (await answer.text()).trimEnd();
    return [answer.status, JSON.parse(text.slice(text.lastIndexOf("\n") + 1))];
  }

  const late = (status: number, limit: string, what: string): [number, unknown] => [
    status,
    { error: expect.stringContaining(`timed out after ${limit} s of waiting for ${what}`) },
  ];

  /** What a request gets from a loaded runner that stands still; afterwards everything works again. */
  async function whileStopped(request: () => Promise<Response>): Promise<[number, unknown]> {
    expect(await endOf(await ask({}))).toMatchObject([200, { done: true }]);
    const runner = await runnerOf(server);
    process.kill(runner, "SIGSTOP");
    const end = await endOf(await request());
    process.kill(runner, "SIGCONT");
    expect(await endOf(await ask({}))).toMatchObject([200, { done: true }]);
    return end;
  }

  test("of a load ends it", async () => {
    const answer = ask({ "x-hutch-load-timeout": "500ms" });
    const runner = await runnerOf(server);
    process.kill(runner, "SIGSTOP");
    expect(await endOf(await answer)).toEqual(late(504, "0.5", "the model to load"));
    await until("the runner is gone", async () => (await childrenOf(server.pid)).length === 0);
  });

  test("of the first token, by variable and by header", async () => {
    expect(await whileStopped(() => ask({}))).toEqual(late(504, "0.2", "the first token"));
    expect(await whileStopped(() => ask({ "x-hutch-first-token-timeout": "50ms" }))).toEqual(
      late(504, "0.05", "the first token"),
    );
  });

  test("of the next token, and of the whole request, ends a stream with an error line", async () => {
    for (const [header, what] of [
      ["x-hutch-token-timeout", "the next token"],
      ["x-hutch-request-timeout", "the end of the answer"],
    ] as const) {
      const answer = await ask({ [header]: "300ms" }, 5000);
      const stream = lines(answer);
      expect((await stream.next()).value).toMatchObject({ done: false });
      const runner = await runnerOf(server);
      process.kill(runner, "SIGSTOP");
      let last: unknown;
      for await (const line of stream) last = line;
      process.kill(runner, "SIGCONT");
      expect([200, last]).toEqual(late(200, "0.3", what));
      expect(await endOf(await ask({}))).toMatchObject([200, { done: true }]);
    }
  });

  test("of the queue is of those who wait alone", async () => {
    await using own = await startServer({
      home: server.home,
      env: { HUTCH_NUM_PARALLEL: "1" },
    });
    const post = (tokens: number, init: RequestInit = {}) =>
      own.post("/api/generate", request(tokens), init);
    const stream = lines(await post(5000));
    expect((await stream.next()).value).toMatchObject({ done: false });
    // The engine holds one more than it serves.
    const leaving = new AbortController();
    const second = post(4, { signal: leaving.signal }).catch(() => undefined);
    await until("it waits", async () =>
      /^hutch_model_queue{.*} 1$/m.test(await (await own.request("GET", "/metrics")).text()),
    );
    const headers = { "x-hutch-queue-timeout": "50ms" };
    expect(await endOf(await post(4, { headers }))).toEqual(late(504, "0.05", "a free slot"));
    leaving.abort();
    await second;
    let last: unknown;
    for await (const line of stream) last = line;
    expect(last).toMatchObject({ done: true, eval_count: 5000 });
  });
});
