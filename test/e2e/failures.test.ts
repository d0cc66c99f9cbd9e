/**
 * Runners that stop, crash or are killed, and clients that leave at any moment, tried on the compiled
 * executable: who had begun is told why, who waited is served, and every slot is free again.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { type Leaving, leaveAtRandom } from "../../bench/leaving.ts";
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

/** Whether no slot is in use and nobody waits. */
async function isIdle(server: TestServer): Promise<boolean> {
  const text = await (await server.request("GET", "/metrics")).text();
  const sum = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}(?:{.*})? (\\d+)`, "gm"))].reduce(
      (all, [, count]) => all + Number(count),
      0,
    );
  return sum("hutch_model_slots_busy") + sum("hutch_model_queue") === 0;
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

describe.skipIf(!ready)("clients that go", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ env: { HUTCH_NUM_PARALLEL: "4" } });
    await createModel(server, "stories", stories ?? "");
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  test("200 of them at any moment leave every slot free, and the next one is served at once", async () => {
    const seen: Leaving = await leaveAtRandom(server.url, endless, { clients: 200, atOnce: 20 });
    expect(seen.left + seen.ended).toBe(200);
    expect(seen.left).toBeGreaterThan(100);
    const since = performance.now();
    expect(await ask(server)).toEqual([200, true]);
    expect(performance.now() - since).toBeLessThan(2000);
    await until("every slot is free", () => isIdle(server), 2);
  });

  test("by closing their half of the connection are gone, as for Ollama, and free their slots", async () => {
    const { hostname, port } = new URL(server.url);
    const body = JSON.stringify(endless);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    socket.write(
      `POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await new Promise((resolve) => socket.once("data", resolve));
    expect(await isIdle(server)).toBe(false);
    socket.end();
    await until("every slot is free", () => isIdle(server), 5);
    socket.destroy();
    expect(await ask(server)).toEqual([200, true]);
  });

  test("by a reset in the middle of an answer free their slots", async () => {
    const { hostname, port } = new URL(server.url);
    const body = JSON.stringify(endless);
    for (let i = 0; i < 8; i++) {
      const socket = connect({ host: hostname, port: Number(port) });
      socket.write(
        `POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      await new Promise((resolve) => socket.once("data", resolve));
      socket.resetAndDestroy();
    }
    await until("every slot is free", () => isIdle(server), 5);
    expect(await ask(server)).toEqual([200, true]);
  });
});
