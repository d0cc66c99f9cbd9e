/** HUTCH_MEMORY on the compiled executable: what is promised is kept while models grow and take turns. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  cleanEnvironment,
  createModel,
  executable,
  haveExecutable,
  startServer,
  type TestServer,
  testModel,
} from "../support/executable.ts";

const stories = testModel("stories260K-f32.gguf");
const talk = testModel("tinytalk-3m-q4_0.gguf");
const ready = haveExecutable && stories !== undefined && talk !== undefined;
const promise = 80 * 2 ** 20;

/** Bytes of all loaded models, as allocated. */
async function held(server: TestServer): Promise<number> {
  const text = await (await server.request("GET", "/metrics")).text();
  const rows = text.matchAll(/^hutch_model_memory_bytes{.*} (\d+)/gm);
  return [...rows].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

describe.skipIf(!ready)("a promise of memory", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ env: { HUTCH_MEMORY: "80M" } });
    await createModel(server, "stories", stories ?? "");
    await createModel(server, "talk", talk ?? "");
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  const ask = async (model: string, prompt: string, num_ctx: number) => {
    const options = { temperature: 0, num_ctx, num_predict: 40 };
    const body = { model, prompt, raw: true, stream: false, options };
    const answer = await server.post("/api/generate", body);
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };

  test("is kept while many clients use two models", async () => {
    const requests = Array.from({ length: 24 }, (_, i) =>
      ask(i % 2 === 0 ? "stories" : "talk", `${i} Once upon a time`, 256),
    );
    let running = true;
    const all = Promise.all(requests).finally(() => {
      running = false;
    });
    let most = 0;
    while (running) most = Math.max(most, await held(server));
    expect((await all).map(({ status }) => status)).toEqual(requests.map(() => 200));
    expect(most).toBeGreaterThan(2 ** 20);
    expect(most).toBeLessThanOrEqual(promise);
  });

  test("refuses what would break it, with the bill that plan prints too", async () => {
    const options = ["--option", "num_ctx=2048", "--option", "num_batch=4096"];
    const child = Bun.spawnSync([executable, "plan", "talk", ...options], {
      env: cleanEnvironment(server.home, { HUTCH_MEMORY: "80M" }),
    });
    expect(child.exitCode).toBe(4);
    expect(child.stdout.toString()).toMatch(/^talk:latest: does not fit\nweights /);
    const wanted = { num_ctx: 2048, num_batch: 4096 };
    const answer = await server.post("/api/generate", {
      model: "talk",
      prompt: "x",
      options: wanted,
    });
    expect([answer.status, await answer.json()]).toEqual([
      500,
      {
        error: expect.stringMatching(
          /^model requires more system memory \(\d+\.\d MiB\) than is available \(80\.0 MiB\): weights .*buffers/,
        ),
      },
    ]);
  });
});
