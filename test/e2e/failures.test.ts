/**
 * Runners that stop, crash or are killed, tried on the compiled executable: whoever had begun is told why,
 * and the next one is served. Clients that leave: leaving.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  childrenOf,
  createModel,
  haveExecutable,
  isRunning,
  lines,
  startServer,
  type TestServer,
  testModel,
  until,
} from "../support/executable.ts";

const stories = testModel("stories260K-f32.gguf");
const ready = haveExecutable && stories !== undefined && process.platform === "linux";

/** A request that would run for a long time. */
const endless = {
  model: "stories",
  prompt: "Once upon a time",
  options: { temperature: 0, num_ctx: 512, num_predict: 5000, stop: ["<never>"] },
};

const short = { model: "stories", prompt: "Tom", stream: false, options: { num_predict: 4 } };

async function ask(server: TestServer): Promise<[status: number, done: unknown]> {
  const answer = await server.post("/api/generate", short);
  return [answer.status, ((await answer.json()) as { done?: boolean }).done];
}

/** Begins an endless stream, does something to its runner at the third line, returns the last line. */
async function disturb(server: TestServer, signal: NodeJS.Signals): Promise<unknown> {
  await ask(server);
  const runners = await childrenOf(server.pid);
  expect(runners).toHaveLength(1);
  const answer = await server.post("/api/generate", endless);
  let count = 0;
  let last: unknown;
  for await (const line of lines(answer)) {
    last = line;
    if (++count === 3) for (const pid of runners) process.kill(pid, signal);
  }
  for (const pid of runners) {
    await until(`the runner ${pid} is gone`, async () => !(await isRunning(pid)));
  }
  return last;
}

describe.skipIf(!ready)("a runner", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ env: { HUTCH_STALL_TIMEOUT: "1s" } });
    await createModel(server, "stories", stories ?? "");
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  for (const signal of ["SIGSEGV", "SIGABRT", "SIGKILL", "SIGTERM"] as const) {
    test(`that ends by ${signal} ends its request with the reason; the next one is served`, async () => {
      expect(await disturb(server, signal)).toEqual({
        error: expect.stringMatching(/^an error was encountered while running the model: .*\w/),
      });
      expect(await ask(server)).toEqual([200, true]);
    });
  }

  test("that stops is killed and replaced; its request ends with the reason", async () => {
    expect(await disturb(server, "SIGSTOP")).toEqual({
      error: expect.stringMatching(/^an error was encountered while running the model: .*\w/),
    });
    expect(await ask(server)).toEqual([200, true]);
  });

  test("that ends before it has begun with a request does not fail it", async () => {
    await ask(server);
    const [runner = 0] = await childrenOf(server.pid);
    process.kill(runner, "SIGKILL");
    await until("the runner is gone", async () => !(await isRunning(runner)));
    expect(await ask(server)).toEqual([200, true]);
  });
});
