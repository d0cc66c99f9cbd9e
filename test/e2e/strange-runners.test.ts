/**
 * Runners that stall, end, answer garbage or are killed for memory, on the compiled executable. A server
 * starts its runners from its own path, so another program is put there while it runs, and the executable
 * is put back afterwards: the server must go on as if nothing had happened.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, copyFile, link, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  childrenOf,
  createModel,
  executable,
  haveExecutable,
  lines,
  startServer,
  type TestServer,
  temporaryFolder,
  testModel,
  until,
} from "../support/executable.ts";
import { haveMemoryGroups, memoryGroup } from "../support/memory-group.ts";
import { kindsOfGarbage } from "../support/strange-runner.ts";

const stories = testModel("stories260K-f32.gguf");
const ready = haveExecutable && stories !== undefined && process.platform === "linux";
const script = resolve(import.meta.dir, "../support/strange-runner.ts");

const short = { model: "stories", prompt: "Tom", stream: false, options: { num_predict: 4 } };

async function ask(server: TestServer, init?: RequestInit) {
  const answer = await server.post("/api/generate", short, init);
  return [answer.status, (await answer.json()) as { done?: boolean; error?: string }] as const;
}

describe.skipIf(!ready)("a runner that", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let server: TestServer;
  let binary = "";
  beforeAll(async () => {
    folder = await temporaryFolder();
    binary = join(folder.path, "hutch");
    await link(executable, binary).catch(() => copyFile(executable, binary));
    const env = { HUTCH_STALL_TIMEOUT: "1s", HUTCH_LOAD_TIMEOUT: "1s", HUTCH_KEEP_ALIVE: "1h" };
    server = await startServer({ binary, env });
    await createModel(server, "stories", stories ?? "");
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  /** What a request is answered while runners are such ones; then a good one has to serve the next. */
  async function answerOf(...how: string[]): Promise<unknown> {
    const [real, strange] = [join(folder.path, "real"), join(folder.path, "strange")];
    await writeFile(
      strange,
      `#!/bin/sh\nexec '${process.execPath}' '${script}' ${how.join(" ")}\n`,
    );
    await chmod(strange, 0o755);
    await rename(binary, real);
    await rename(strange, binary);
    const answer = await ask(server);
    await rename(real, binary);
    await until("the runner is gone", async () => (await childrenOf(server.pid)).length === 0);
    expect(await ask(server)).toMatchObject([200, { done: true }]);
    await server.post("/api/generate", { model: "stories", keep_alive: 0 });
    await until("nothing is loaded", async () => (await childrenOf(server.pid)).length === 0);
    return answer;
  }

  const failed = (reason: RegExp) => [500, { error: expect.stringMatching(reason) }];

  test("stalls is replaced, and its state is in the log", async () => {
    expect(await answerOf("silent")).toEqual(failed(/no progress for \d+ s with/));
    expect(server.log()).toMatch(/a runner made no progress and is replaced" .*pid=\d+ .*state=/);
  });

  test("never says that it is ready fails the load", async () => {
    expect(await answerOf("deaf")).toEqual(failed(/timed out waiting for the model to load/));
  });

  test("exits ends its request with the exit code", async () => {
    expect(await answerOf("exit")).toEqual(failed(/exit status 7/));
  });

  test("answers garbage ends its request, whatever garbage", async () => {
    for (const kind of Array(kindsOfGarbage).keys()) {
      const answer = await answerOf("garbage", String(kind));
      expect(answer, `garbage ${kind}`).toEqual(failed(/sent a message that cannot be read/));
    }
  });

  test("writes bytes that are no messages ends its request", async () => {
    expect(await answerOf("noise")).toEqual(failed(/\w/));
  });
});

describe.skipIf(!ready)("requests of a runner that is killed", () => {
  test("end with the reason when they had begun, and run again when they had not", async () => {
    await using server = await startServer({ env: { HUTCH_NUM_PARALLEL: "1" } });
    await createModel(server, "stories", stories ?? "");
    const options = { temperature: 0, num_predict: 5000, stop: ["<never>"] };
    const ask5000 = { model: "stories", prompt: "one", options };
    const stream = lines(await server.post("/api/generate", ask5000));
    expect((await stream.next()).value).toMatchObject({ done: false });
    const waiting = Array.from({ length: 5 }, () => ask(server));
    await until("all the others wait", async () =>
      /hutch_model_queue{.*} 5\n/.test(await (await server.request("GET", "/metrics")).text()),
    );
    const [runner = 0] = await childrenOf(server.pid);
    process.kill(runner, "SIGKILL");
    let last: unknown;
    for await (const line of stream) last = line;
    expect(last).toEqual({ error: expect.stringMatching(/^an error was encountered .*SIGKILL/) });
    // One more than there are slots was with the runner already, and had none.
    for (const [status, { done }] of await Promise.all(waiting)) {
      expect([status, done]).toEqual([200, true]);
    }
  });
});

describe.skipIf(!ready || !haveMemoryGroups)("a runner without memory", () => {
  test("is ended by the system; the reason is told, and the server and the next request live", async () => {
    const mebi = 2 ** 20;
    await using server = await startServer();
    await createModel(server, "stories", stories ?? "");
    expect(await ask(server)).toMatchObject([200, { done: true }]);
    const [runner = 0] = await childrenOf(server.pid);
    const adjustment = async (pid: number) =>
      Number(await Bun.file(`/proc/${pid}/oom_score_adj`).text());
    expect(await adjustment(runner)).toBe(Math.min(1000, (await adjustment(server.pid)) + 500));
    const group = memoryGroup(2 * mebi);
    if (group === undefined) throw new Error("no group was made");
    try {
      // What it has stays where it was; whatever it takes from now on is bounded.
      group.take(runner);
      const many = Array.from({ length: 16 }, () =>
        server.post("/api/generate", {
          ...short,
          stream: true,
          options: { num_predict: 5000, num_ctx: 512, stop: ["<never>"] },
        }),
      );
      const ends = await Promise.all(
        many.map(
          async (answer) => (await (await answer).text()).trimEnd().split("\n").at(-1) ?? "",
        ),
      );
      await until("the system has ended it", () => group.killed() > 0);
      const failed = ends.filter((end) => end.startsWith('{"error":'));
      expect(failed.length).toBeGreaterThan(0);
      for (const end of failed) {
        expect(end).toContain("signal SIGKILL, out of memory: the system ended it");
      }
      expect(await ask(server)).toMatchObject([200, { done: true }]);
    } finally {
      await group[Symbol.asyncDispose]();
    }
  });
});
