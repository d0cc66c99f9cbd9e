/**
 * Memory on the compiled executable: what HUTCH_MEMORY promises is kept while models grow and take turns,
 * and so is the limit of a container; processes take what their bills say.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
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

/** Keys and values of one token of the middling model: 6 layers of 288 numbers, f16. */
const cellBytes = 2 * 6 * 288 * 2;

interface Prompted {
  readonly prompt_eval_count: number;
}

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
    const env = { HUTCH_MEMORY: "15M" };
    await using small = await startServer({ home: server.home, env });
    const child = Bun.spawnSync([executable, "plan", "talk"], {
      env: cleanEnvironment(server.home, env),
    });
    expect(child.exitCode).toBe(4);
    expect(child.stdout.toString()).toMatch(/^talk:latest: does not fit\nweights /);
    const answer = await small.post("/api/generate", { model: "talk", prompt: "x" });
    expect([answer.status, await answer.json()]).toEqual([
      500,
      {
        error: expect.stringMatching(
          /^model requires more system memory \(\d+\.\d MiB\) than is available \(15\.0 MiB\): weights .*buffers/,
        ),
      },
    ]);
  });
});

/** The only child of a process: its number, and the bytes it has resident now and ever had at most. */
async function childOf(parent: number): Promise<{ pid: number; now: number; most: number }> {
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // Processes end while they are looked at.
    const status = await readFile(`/proc/${name}/status`, "utf8").catch(() => "");
    if (!status.includes(`\nPPid:\t${parent}\n`)) continue;
    const bytes = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(status)?.[1]);
    return { pid: Number(name), now: bytes("VmRSS") * 1024, most: bytes("VmHWM") * 1024 };
  }
  throw new Error(`process ${parent} has no child`);
}

test.skipIf(!ready || process.platform !== "linux")(
  "slots need no memory but their own: a promise of just that is enough, and kept when all are full",
  async () => {
    await using folder = await temporaryFolder();
    const middling = await middlingModel(folder.path);
    if (middling === undefined) throw new Error("no model could be made");
    const env = { HUTCH_MODELS: join(folder.path, "models"), HUTCH_NUM_PARALLEL: "8" };
    await using free = await startServer({ env });
    await createModel(free, "middling", middling);
    const flags = ["--option", "num_ctx=1024", "--option", "num_batch=64", "--format", "json"];
    const plan = Bun.spawnSync([executable, "plan", "middling", ...flags], {
      env: cleanEnvironment(free.home, env),
    });
    const bill = JSON.parse(plan.stdout.toString());
    expect([bill.slots, bill.peak]).toEqual([8, bill.held]);

    await using server = await startServer({ env: { ...env, HUTCH_MEMORY: `${bill.held}` } });
    const ask = async (prompt: string) => {
      const options = { num_ctx: 1024, num_batch: 64, num_predict: 40 };
      const body = { model: "middling", prompt, raw: true, stream: false, options };
      return (await (await server.post("/api/generate", body)).json()) as Prompted;
    };
    await ask("");
    const { pid, now } = await childOf(server.pid);
    await writeFile(`/proc/${pid}/clear_refs`, "5"); // from now on the most is counted anew (proc(5))
    const prompts = Array.from({ length: 8 }, (_, i) => `${i} ${"river stone ".repeat(490)}`);
    const answers = await Promise.all(prompts.map(ask));
    const tokens = answers.reduce((sum, { prompt_eval_count }) => sum + prompt_eval_count, 0);
    expect(tokens).toBeGreaterThan(8 * 900);
    const taken = (await childOf(server.pid)).most - now;
    expect(taken).toBeGreaterThan(tokens * cellBytes * 0.9);
    expect(taken).toBeLessThanOrEqual(bill.held);
  },
);

describe.skipIf(!ready || !haveMemoryGroups)("a container's limit", () => {
  const mebi = 2 ** 20;
  const limit = 400 * mebi;

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

    const plan = (options: readonly string[], env: Record<string, string> = {}) => {
      const flags = options.flatMap((option) => ["--option", option]);
      const command = [executable, "plan", "middling", "--format", "json", ...flags];
      const child = Bun.spawnSync([...group.prefix, ...command], {
        env: cleanEnvironment(server.home, env),
      });
      return { code: child.exitCode, plan: JSON.parse(child.stdout.toString()) };
    };
    const huge = plan(["num_ctx=2048", "num_batch=4096"], { HUTCH_NUM_PARALLEL: "2" });
    expect([huge.code, huge.plan.fits, huge.plan.limited_by]).toEqual([4, false, "machine"]);
    expect(huge.plan.available).toBeLessThan(limit);
    const told = plan(["num_ctx=2048"]).plan;

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
