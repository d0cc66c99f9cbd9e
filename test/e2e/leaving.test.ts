/**
 * Clients that leave: queued, while their model loads, while their prompt is evaluated, in mid-stream, by
 * every way in which a connection can end, and many at once. Their slots are free at once. And clients
 * that read slowly, which slow nobody else.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { leaveAtRandom } from "../../bench/leaving.ts";
import {
  childrenOf,
  createModel,
  haveExecutable,
  isRunning,
  lines,
  runnerOf,
  startServer,
  type TestServer,
  temporaryFolder,
  testModel,
  until,
} from "../support/executable.ts";
import { middlingModel } from "../support/middling-model.ts";

const stories = testModel("stories260K-f32.gguf");
const folder = await temporaryFolder();
const middling = haveExecutable ? await middlingModel(folder.path) : undefined;
afterAll(() => folder[Symbol.asyncDispose]());

const linux = process.platform === "linux";

/** Most milliseconds until the slot of a client that has left serves another one. */
const limit = 250;

/** A request that would run for a long time. */
const endless = {
  model: "model",
  prompt: "Once upon a time ",
  options: { temperature: 0, num_ctx: 512, num_predict: 5000, stop: ["<never>"] },
};

async function ask(server: TestServer): Promise<[status: number, done: unknown]> {
  const answer = await server.post("/api/generate", {
    model: "model",
    prompt: "Tom",
    stream: false,
    options: { num_predict: 1 },
  });
  return [answer.status, ((await answer.json()) as { done?: boolean }).done];
}

/** Milliseconds until a short request is answered. */
async function timeOfAnswer(server: TestServer): Promise<number> {
  const since = performance.now();
  expect(await ask(server)).toEqual([200, true]);
  return performance.now() - since;
}

/**
 * The least of several times: what is slow by itself is slow each time, a busy machine only now and then.
 */
async function best(rounds: number, time: (round: number) => Promise<number>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) times.push(await time(round));
  return Math.min(...times);
}

/** The figures of the only model that is loaded. */
async function figures(server: TestServer): Promise<{ busy: number; queue: number }> {
  const text = await (await server.request("GET", "/metrics")).text();
  const sum = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}(?:{.*})? (\\d+)`, "gm"))].reduce(
      (all, [, count]) => all + Number(count),
      0,
    );
  return { busy: sum("hutch_model_slots_busy"), queue: sum("hutch_model_queue") };
}

async function isIdle(server: TestServer): Promise<boolean> {
  const { busy, queue } = await figures(server);
  return busy + queue === 0;
}

/** Begins a request as a client would that does not read; the socket is in the test's hands. */
function rawRequest(server: TestServer, request: unknown, options: { halfOpen?: boolean } = {}) {
  const { hostname, port } = new URL(server.url);
  const body = JSON.stringify(request);
  const socket = connect({
    host: hostname,
    port: Number(port),
    allowHalfOpen: options.halfOpen ?? false,
  });
  socket.on("error", () => {});
  socket.write(
    `POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  return socket;
}

describe.skipIf(!haveExecutable || middling === undefined)(
  "the slot of a client that leaves",
  () => {
    let server: TestServer;
    /** What a short request takes when nobody else is there. */
    let usual = 0;
    beforeAll(async () => {
      server = await startServer({ env: { HUTCH_NUM_PARALLEL: "1", HUTCH_PREFIX_CACHE: "0" } });
      await createModel(server, "model", middling ?? "");
      await ask(server);
      usual = Math.max(await timeOfAnswer(server), await timeOfAnswer(server));
    });
    afterAll(async () => {
      await server?.[Symbol.asyncDispose]();
    });

    test("is free within 250 ms, in the middle of a long prompt", async () => {
      const long = (round: number) => ({
        ...endless,
        prompt: `${round} ${"a long way to go ".repeat(400)}`,
        options: { num_ctx: 2048, num_predict: 1 },
      });
      const since = performance.now();
      await (await server.post("/api/generate", long(0))).text();
      const whole = performance.now() - since;
      const took = await best(3, async (round) => {
        const leaving = new AbortController();
        let begun = false;
        const request = server
          .post("/api/generate", long(round + 1), { signal: leaving.signal })
          .then(() => {
            begun = true;
          })
          .catch(() => undefined);
        await until("it has the slot", async () => (await figures(server)).busy === 1);
        leaving.abort();
        const time = await timeOfAnswer(server);
        await request;
        expect(begun).toBe(false);
        return time;
      });
      // Where other programs want the cores too, everything takes longer, the prompt as well.
      expect(took).toBeLessThan(usual + Math.max(limit, whole / 4));
    });

    test("is free within 250 ms, in mid-stream", async () => {
      const took = await best(3, async () => {
        const leaving = new AbortController();
        const answer = await server.post("/api/generate", endless, { signal: leaving.signal });
        const stream = lines(answer);
        for (let i = 0; i < 5; i++) await stream.next();
        leaving.abort();
        return await timeOfAnswer(server);
      });
      expect(took).toBeLessThan(usual + limit);
    });

    test("is never taken by one that left the queue", async () => {
      const running = new AbortController();
      const [first, second] = [0, 1].map(() =>
        server.post("/api/generate", endless, { signal: running.signal }),
      );
      // Held until the end: a stream that nobody holds is collected, and its client leaves with it.
      const stream = lines((await first) as Response);
      await stream.next();
      await until("one waits", async () => (await figures(server)).queue === 1);
      const took = await best(3, async () => {
        const leaving = new AbortController();
        const queued = Array.from({ length: 20 }, () =>
          server.post("/api/generate", endless, { signal: leaving.signal }).catch(() => "left"),
        );
        await until("all wait", async () => (await figures(server)).queue === 21);
        leaving.abort();
        const since = performance.now();
        expect(await Promise.all(queued)).toEqual(queued.map(() => "left"));
        await until("they are out of the queue", async () => (await figures(server)).queue === 1);
        return performance.now() - since;
      });
      expect(took).toBeLessThan(limit);
      expect((await stream.next()).done).toBe(false);
      running.abort();
      await second?.catch(() => undefined);
      expect(await timeOfAnswer(server)).toBeLessThan(usual + limit);
    });

    test.skipIf(!linux)(
      "is not there yet while the model loads: the load ends with it",
      async () => {
        const took = await best(3, async () => {
          await server.post("/api/generate", { model: "model", keep_alive: 0 });
          await until("nothing is loaded", async () => (await childrenOf(server.pid)).length === 0);
          const leaving = new AbortController();
          const request = server
            .post("/api/generate", endless, { signal: leaving.signal })
            .catch(() => "left");
          const runner = await runnerOf(server);
          process.kill(runner, "SIGSTOP"); // it would load for ever
          leaving.abort();
          const since = performance.now();
          expect(await request).toBe("left");
          await until("the runner is gone", async () => !(await isRunning(runner)));
          return performance.now() - since;
        });
        expect(took).toBeLessThan(limit);
        expect(await ask(server)).toEqual([200, true]);
      },
    );

    for (const [how, end] of [
      ["closes its half of the connection, as for Ollama", (s) => s.end()],
      ["resets it", (s) => s.resetAndDestroy()],
      ["closes it", (s) => s.destroy()],
    ] as [string, (socket: ReturnType<typeof connect>) => void][]) {
      test(`is free when it ${how}`, async () => {
        const took = await best(3, async () => {
          const socket = rawRequest(server, endless, { halfOpen: true });
          await new Promise((resolve) => socket.once("data", resolve));
          expect(await isIdle(server)).toBe(false);
          end(socket);
          const time = await timeOfAnswer(server);
          socket.destroy();
          return time;
        });
        expect(took).toBeLessThan(usual + limit);
      });
    }
  },
);

/** A client that asks, reads a little and vanishes: its machine knows nothing of the connection any more. */
const vanishing = `
import socket, sys
body = sys.argv[2].encode()
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.setsockopt(socket.SOL_TCP, 19, 1)  # TCP_REPAIR: closing says nothing to the other side
s.setsockopt(socket.SOL_TCP, 19, 0)
s.sendall(b"POST /api/generate HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
s.recv(1)
s.setsockopt(socket.SOL_TCP, 19, 1)
s.close()
`;

/** Whether a client can vanish here: python3, and the right to repair connections (root, on Linux). */
const canVanish =
  linux &&
  Bun.which("python3") !== null &&
  Bun.spawnSync([
    "python3",
    "-c",
    "import socket\nsocket.socket().setsockopt(socket.SOL_TCP, 19, 1)",
  ]).exitCode === 0;

describe.skipIf(!haveExecutable || stories === undefined)("a server that clients leave", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ env: { HUTCH_NUM_PARALLEL: "4" } });
    await createModel(server, "model", stories ?? "");
    await ask(server);
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  test.skipIf(!canVanish)("notices by writing that one has vanished without a word", async () => {
    const { port } = new URL(server.url);
    const child = Bun.spawn(["python3", "-c", vanishing, port, JSON.stringify(endless)], {
      stderr: "inherit",
    });
    expect(await child.exited).toBe(0);
    await until("its slot is free", () => isIdle(server), 5);
    expect(await ask(server)).toEqual([200, true]);
  });

  test("at random moments, 1,000 of them: every slot is free, and the next one is served at once", async () => {
    const before = await timeOfAnswer(server);
    const seen = await leaveAtRandom(server.url, endless, { clients: 1000, atOnce: 50 });
    expect(seen.left + seen.ended).toBe(1000);
    expect(seen.left).toBeGreaterThan(900);
    expect(await timeOfAnswer(server)).toBeLessThan(before + limit);
    await until("every slot is free", () => isIdle(server), 2);
  });
});

/** Clock ticks of the processor that a process has used (proc(5)). */
function ticksOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Waits until a process has done next to nothing for a while. */
async function untilAtRest(pid: number): Promise<void> {
  let since = performance.now();
  let ticks = ticksOf(pid);
  await until("the process rests", () => {
    if (ticksOf(pid) > ticks + 1) {
      since = performance.now();
      ticks = ticksOf(pid);
    }
    return performance.now() - since > 300;
  });
}

function residentMiB(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) / 256;
}

describe.skipIf(!haveExecutable || stories === undefined || !linux)(
  "clients that read slowly",
  () => {
    test("are waited for with a bounded buffer, slow nobody, and get everything in the end", async () => {
      await using server = await startServer({ env: { HUTCH_NUM_PARALLEL: "4" } });
      await createModel(server, "model", stories ?? "");
      await ask(server);
      const before = await timeOfAnswer(server);
      const [runner = 0] = await childrenOf(server.pid);
      const resident = residentMiB(server.pid);
      // Some 7 MB each: more than the system keeps for a connection.
      const bulky = { ...endless, logprobs: true, top_logprobs: 20 };
      const sockets = [0, 1].map(() => rawRequest(server, bulky).pause());
      await until("both have a slot", async () => (await figures(server)).busy === 2);
      await untilAtRest(runner);
      const resting = ticksOf(runner);
      expect(await figures(server)).toEqual({ busy: 2, queue: 0 });
      expect(residentMiB(server.pid) - resident).toBeLessThan(64);
      expect(await best(4, () => timeOfAnswer(server))).toBeLessThan(before + limit);
      const ends = sockets.map(async (socket) => {
        let last = "";
        socket.on("data", (chunk) => {
          last = (last + String(chunk)).slice(-200);
        });
        socket.resume();
        await until("the end arrives", () => /"eval_duration":\d+}/.test(last), 60);
        return last;
      });
      for (const end of await Promise.all(ends)) expect(end).toContain('"eval_count":5000,');
      expect(ticksOf(runner)).toBeGreaterThan(resting + 10);
      for (const socket of sockets) socket.destroy();
      await until("every slot is free", () => isIdle(server));
    });
  },
);
