/** Health, metrics, request ids and the end of a server, through the application. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { EngineCrashedError } from "../../src/errors.ts";
import { type Application, openApplication } from "../support/application.ts";
import { until } from "../support/until.ts";

let application: Application;
beforeEach(() => {
  application = openApplication();
});
afterEach(() => application[Symbol.asyncDispose]());

const text = async (path: string) => (await application.send("GET", path)).text();

describe("metrics", () => {
  test("a generation is counted with its tokens under the model's name", async () => {
    await application.create("m");
    await application.lines("/api/generate", { model: "m", prompt: "hello" });
    const page = await text("/metrics");
    expect(page).toMatch(/^hutch_generations_total\{model="m:latest"\} 1$/m);
    expect(page).toMatch(/^hutch_generated_tokens_total\{model="m:latest"\} [1-9]\d*$/m);
    expect(page).toMatch(/^hutch_prompt_tokens_total\{model="m:latest"\} [1-9]\d*$/m);
    expect(page).toMatch(/^hutch_time_to_first_token_seconds_count\{model="m:latest"\} 1$/m);
    expect(page).toMatch(/^hutch_model_load_seconds_count\{model="m:latest"\} 1$/m);
    expect(page).toMatch(/^hutch_model_slots_busy\{model="m:latest"\} 0$/m);
  });

  test("a streamed request is counted once, when its stream has ended", async () => {
    await application.create("m");
    const answer = await application.send("POST", "/api/generate", { model: "m", prompt: "hi" });
    expect(await text("/metrics")).not.toContain('route="/api/generate"');
    await answer.text();
    expect(await text("/metrics")).toMatch(
      /^hutch_requests_total\{route="\/api\/generate",status="200"\} 1$/m,
    );
  });

  test("progress that streams is counted as any answer is, whether it ends well or not", async () => {
    await application.create("m");
    const counted = async (route: string) =>
      new RegExp(`^hutch_requests_total{route="${route}",status="200"} (\\d+)$`, "m").exec(
        await text("/metrics"),
      )?.[1];
    const before = Number(await counted("/api/create"));
    const body = { model: "copy", from: "m", system: "Be brief." };
    const made = await application.send("POST", "/api/create", body);
    expect(await made.text()).toEndWith('{"status":"success"}\n');
    expect(await counted("/api/create")).toBe(String(before + 1));
    const pushed = await application.send("POST", "/api/push", { model: "no name" });
    expect(await counted("/api/push")).toBeUndefined();
    expect(await pushed.text()).toContain('{"error":"unqualified name');
    expect(await counted("/api/push")).toBe("1");
    const left = await application.send("POST", "/api/push", { model: "no name" });
    await left.body?.cancel();
    expect(await counted("/api/push")).toBe("2");
  });

  test("a name that is loaded twice, because it was made anew, is one series", async () => {
    await application.create("m");
    const gate = Promise.withResolvers<void>();
    application.engine.answers = [{ steps: ["a", gate.promise] }, { steps: ["b"] }];
    const old = await application.send("POST", "/api/generate", { model: "m", prompt: "x" });
    await application.create("m", {}, "qwen2");
    await application.lines("/api/generate", { model: "m", prompt: "x" });
    expect(application.scheduler.running().map(({ name }) => name)).toEqual([
      "m:latest",
      "m:latest",
    ]);
    const page = await text("/metrics");
    expect(page.match(/^hutch_model_slots_busy.*$/gm)).toEqual([
      'hutch_model_slots_busy{model="m:latest"} 1',
    ]);
    const series: string[] = page.match(/^hutch\S+/gm) ?? [];
    expect(series).toEqual([...new Set(series)]);
    gate.resolve();
    await old.text();
  });

  test("paths that clients made up do not become labels", async () => {
    await application.send("GET", "/no/such/path");
    await application.send("HEAD", `/api/blobs/sha256:${"0".repeat(64)}`);
    const page = await text("/metrics");
    expect(page).toContain('route="unknown",status="404"');
    expect(page).toContain('route="/api/blobs/:digest",status="404"');
    expect(page).not.toContain("such");
  });
});

describe("request ids", () => {
  test("a client's own id comes back, a strange one is replaced", async () => {
    const id = async (given: string) =>
      (
        await application.send("GET", "/api/version", undefined, { "x-request-id": given })
      ).headers.get("x-request-id");
    expect(await id("trace-1:a.b")).toBe("trace-1:a.b");
    expect(await id("has spaces in it")).toMatch(/^[0-9a-f-]{36}$/);
    expect(await id("x".repeat(129))).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe("the log line of a stream that broke off", () => {
  const ask = (headers: Record<string, string> = {}) =>
    application.send("POST", "/api/generate", { model: "m", prompt: "x" }, headers);
  /** The line of the only generation, once it is there. */
  async function line() {
    const own = () => application.requests.filter(({ route }) => route === "/api/generate");
    await until("it is logged", () => own().length > 0);
    expect(own().length).toBe(1);
    return own()[0];
  }
  beforeEach(() => application.create("m"));

  test("says that its client left", async () => {
    application.engine.answers = [{ steps: ["a", new Promise(() => undefined)] }];
    await (await ask()).body?.cancel();
    expect(await line()).toMatchObject({ status: 200, error: "canceled" });
  });

  test("names the kind of error, never its text", async () => {
    const crashed = new EngineCrashedError("killed while it read: x");
    application.engine.answers = [{ steps: ["a", crashed] }];
    expect(await (await ask()).text()).toContain("killed");
    const logged = await line();
    expect(logged).toMatchObject({ status: 200, error: "engine_crashed" });
    expect(JSON.stringify(logged)).not.toContain("killed");
  });

  test("names the deadline that was over", async () => {
    application.engine.answers = [{ steps: ["a", new Promise(() => undefined)] }];
    await (await ask({ "x-hutch-token-timeout": "10ms" })).text();
    expect(await line()).toMatchObject({ status: 200, error: "timeout" });
  });

  test("is there of whole ones, without an error", async () => {
    await (await ask()).text();
    const logged = await line();
    expect(logged).toMatchObject({ status: 200, tokens: expect.any(Number) });
    expect(Object.keys(logged ?? {})).not.toContain("error");
  });
});

describe("draining", () => {
  test("new work is refused with Retry-After, looking goes on", async () => {
    await application.create("m");
    expect(await text("/readyz")).toBe("ready\n");
    application.app.drain();
    const ready = await application.send("GET", "/readyz");
    expect([ready.status, ready.headers.get("retry-after")]).toEqual([503, "1"]);
    const refused = await application.send("POST", "/api/generate", { model: "m", prompt: "x" });
    expect([refused.status, refused.headers.get("retry-after"), await refused.json()]).toEqual([
      503,
      "1",
      { error: "the server is shutting down" },
    ]);
    expect((await application.send("GET", "/api/tags")).status).toBe(200);
    expect(await text("/healthz")).toBe("ok\n");
  });

  test("a stream that runs goes on to its end", async () => {
    await application.create("m");
    const answer = await application.send("POST", "/api/generate", { model: "m", prompt: "hi" });
    application.app.drain();
    expect(JSON.parse((await answer.text()).trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
      done: true,
    });
  });
});
