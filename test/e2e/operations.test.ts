/** What those see who run the compiled executable: health, figures, request ids, logs without prompts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  createModel,
  haveExecutable,
  startServer,
  type TestServer,
  testModel,
  until,
} from "../support/executable.ts";

const stories = testModel("stories260K-f32.gguf");
const talk = testModel("tinytalk-3m-q4_0.gguf");
const ready = haveExecutable && stories !== undefined && talk !== undefined;

describe.skipIf(!ready)("a server, seen from outside,", () => {
  let server: TestServer;
  beforeAll(async () => {
    const env = { HUTCH_LOG: "json", HUTCH_DEBUG: "1", HUTCH_MAX_LOADED_MODELS: "1" };
    server = await startServer({ env });
    await createModel(server, "stories", stories ?? "");
    await createModel(server, "talk", talk ?? "");
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  test.skipIf(process.platform !== "linux")(
    "has begun anew with a server's compilers, under the process id that it was started with",
    async () => {
      const environment = await Bun.file(`/proc/${server.pid}/environ`).text();
      expect(environment.split("\0")).toContain("BUN_JSC_useFTLJIT=0");
    },
  );

  const get = async (path: string) => (await server.request("GET", path)).text();
  const ask = (model: string, more: Record<string, unknown> = {}, init: RequestInit = {}) =>
    server.post(
      "/api/generate",
      {
        model,
        prompt: "Lily had a zebra. ".repeat(8),
        options: { num_predict: 12, temperature: 0 },
        ...more,
      },
      init,
    );

  test("is well and ready", async () => {
    expect(await get("/healthz")).toBe("ok\n");
    expect(await get("/readyz")).toBe("ready\n");
  });

  test("logs one JSON line a request, with its id and timings, and never what was said", async () => {
    const answer = await ask(
      "stories",
      { stream: false },
      { headers: { "x-request-id": "mine-1" } },
    );
    expect(answer.headers.get("x-request-id")).toBe("mine-1");
    const { response } = (await answer.json()) as { response: string };
    const chat = await server.post("/api/chat", {
      model: "stories",
      messages: [{ role: "user", content: "A giraffe" }],
      options: { num_predict: 4 },
    });
    expect(await chat.text()).toContain('"done":true');
    const records = () =>
      server
        .log()
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    await until("the chat is logged", () => records().some(({ route }) => route === "/api/chat"));
    expect(records().filter(({ id }) => id === "mine-1")).toEqual([
      {
        time: expect.any(String),
        level: "INFO",
        area: "server",
        msg: "request",
        id: "mine-1",
        method: "POST",
        route: "/api/generate",
        status: 200,
        ms: expect.any(Number),
        model: "stories:latest",
        load_ms: expect.any(Number),
        prompt_tokens: expect.any(Number),
        cached_tokens: 0,
        prompt_ms: expect.any(Number),
        tokens: 12,
        eval_ms: expect.any(Number),
      },
    ]);
    for (const said of ["zebra", "giraffe", response.trim()]) {
      expect(server.log()).not.toContain(said);
    }
  });

  test("counts everything by model, and tells what is", async () => {
    expect((await ask("stories")).status).toBe(200);
    expect((await (await ask("stories")).text()).split("\n").length).toBeGreaterThan(3);
    expect(await (await ask("talk")).text()).toContain('"done":true');
    const page = await get("/metrics");
    const value = (name: string, labels = "") => {
      const line = page.split("\n").find((row) => row.startsWith(`${name}{${labels}`));
      return Number(line?.split(" ").at(-1));
    };
    const of = (model: string) => `model="${model}:latest"`;
    const counted = Object.entries({
      hutch_generations_total: of("stories"),
      hutch_prompt_tokens_total: of("stories"),
      hutch_prompt_cached_tokens_total: of("stories"),
      hutch_generated_tokens_total: of("stories"),
      hutch_time_to_first_token_seconds_count: of("stories"),
      hutch_inter_token_seconds_count: of("stories"),
      hutch_model_load_seconds_count: of("talk"),
      hutch_model_unloads_total: `${of("stories")},reason="evicted"`,
      hutch_model_slots: of("talk"),
      hutch_model_memory_bytes: of("talk"),
      ...(process.platform === "linux" ? { hutch_model_resident_bytes: of("talk") } : {}),
      hutch_requests_total: 'route="/api/generate",status="200"',
      hutch_request_seconds_count: 'route="/api/generate"',
    }).map(([name, labels]) => [name, value(name, labels)] as const);
    expect(counted.filter(([, count]) => !(count > 0))).toEqual([]);
    expect([
      value("hutch_model_slots_busy", of("talk")),
      value("hutch_model_queue", of("talk")),
    ]).toEqual([0, 0]);
    // A model that is not loaded has no figures of now.
    expect(value("hutch_model_slots", of("stories"))).toBeNaN();
  });
});
