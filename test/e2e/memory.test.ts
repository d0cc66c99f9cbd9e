/**
 * Memory on the compiled executable: what HUTCH_MEMORY promises is kept while models grow and take turns,
 * and so is the limit of a container; processes take what their bills say.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  cleanEnvironment,
  createModel,
  executable,
  haveExecutable,
  startServer,
  type TestServer,
  temporaryFolder,
  testModel,
} from "../support/executable.ts";
import { haveMemoryGroups, memoryGroup } from "../support/memory-group.ts";
import { middlingModel } from "../support/middling-model.ts";
import { until } from "../support/until.ts";

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

describe.skipIf(!ready || !haveMemoryGroups)("a container's limit", () => {
  const mebi = 2 ** 20;
  const limit = 400 * mebi;

  /** Keys and values of one token of the middling model: 6 layers of 288 numbers, f16. */
  const cellBytes = 2 * 6 * 288 * 2;

  interface Prompted {
    readonly prompt_eval_count: number;
  }

  interface Row {
    readonly name: string;
    readonly size: number;
    readonly slots: { readonly total: number };
  }

  test("bounds plans and slots, and processes take what was planned", async () => {
    await using folder = await temporaryFolder();
    const middling = await middlingModel(folder.path);
    if (middling === undefined) throw new Error("no model could be made");
    await using group = memoryGroup(limit);
    if (group === undefined) throw new Error("no group was made");
    await using server = await startServer({ prefix: group.prefix });
    await until("the limit is logged", () => server.log().includes('total="400.0 MiB"'));
    await createModel(server, "stories", stories ?? "");
    await createModel(server, "middling", middling);

    const plan = (...options: string[]) => {
      const flags = options.flatMap((option) => ["--option", option]);
      const command = [executable, "plan", "middling", "--format", "json", ...flags];
      const child = Bun.spawnSync([...group.prefix, ...command], {
        env: cleanEnvironment(server.home),
      });
      return { code: child.exitCode, plan: JSON.parse(child.stdout.toString()) };
    };
    const huge = plan("num_ctx=2048", "num_batch=4096");
    expect([huge.code, huge.plan.fits, huge.plan.limited_by]).toEqual([4, false, "machine"]);
    expect(huge.plan.available).toBeLessThan(limit);
    const told = plan("num_ctx=2048").plan;

    const ask = async (model: string, index: number) => {
      const options = { num_ctx: model === "stories" ? 512 : 2048, num_predict: 8 };
      const body = { model, prompt: `${index} Once`, stream: false, options };
      return (await server.post("/api/generate", body)).status;
    };
    expect(await ask("stories", 0)).toBe(200);
    const all = Array.from({ length: 24 }, (_, i) => ask("middling", i));
    expect(await Promise.all(all)).toEqual(all.map(() => 200));

    const extras = { headers: { "x-hutch-extras": "1" } };
    const answer = await server.request("GET", "/api/ps", undefined, extras);
    const { models } = (await answer.json()) as { models: Row[] };
    const [loaded, small] = ["middling", "stories"].map((name) =>
      models.find((row) => row.name.startsWith(name)),
    );
    // Alone on a large machine it would have 32 slots.
    expect(loaded?.slots.total).toBe(told.slots);
    expect(told.slots).toBeLessThan(32);
    expect(told.held / (loaded?.size ?? 0)).toBeGreaterThan(0.9);
    expect(told.held / (loaded?.size ?? 0)).toBeLessThan(1.1);
    const resident = async (name: string) => {
      const metrics = await (await server.request("GET", "/metrics")).text();
      const row = new RegExp(`^hutch_model_resident_bytes{model="${name}.*} (\\d+)`, "m");
      return Number(row.exec(metrics)?.[1]);
    };
    // What the program takes without a model, by the one that weighs next to nothing.
    const program = (await resident("stories")) - (small?.size ?? 0);
    expect((await resident("middling")) - program).toBeLessThan(told.held * 1.1);
    // Cells that no token has come to are counted, and not there yet: they come with the tokens. The first
    // long prompt brings the buffers of its steps too.
    const long = async (salt: string) => {
      const options = { num_ctx: 2048, num_predict: 1 };
      const prompt = `${salt} ${"river stone ".repeat(600)}`;
      const body = { model: "middling", prompt, raw: true, stream: false, options };
      return ((await (await server.post("/api/generate", body)).json()) as Prompted)
        .prompt_eval_count;
    };
    await long("first");
    const before = await resident("middling");
    const cells = (await long("second")) * cellBytes;
    expect(cells).toBeGreaterThan(4 * mebi);
    // What the program itself takes moves by a megabyte or two meanwhile.
    expect((await resident("middling")) - before).toBeGreaterThan(cells * 0.5);
    expect((await resident("middling")) - program).toBeLessThan(told.held * 1.1);
    expect(group.killed()).toBe(0);
    await server.stop();
  });
});
