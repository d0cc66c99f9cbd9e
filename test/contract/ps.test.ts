/** What `/api/ps` tells besides Ollama's fields, to those who ask for it. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { type Application, openApplication } from "../support/application.ts";
import { until } from "../support/until.ts";

let application: Application;
let gate = Promise.withResolvers<void>();
beforeEach(async () => {
  gate = Promise.withResolvers<void>();
  application = openApplication({
    env: { HUTCH_NUM_PARALLEL: "2", HUTCH_MAX_LOADED_MODELS: "1" },
  });
  await application.create("a");
  await application.create("b", {}, "qwen2");
});
afterEach(async () => {
  gate.resolve();
  await application[Symbol.asyncDispose]();
});

const ask = (model: string) =>
  application.post("/api/generate", { model, prompt: "x", raw: true, stream: false });

async function ps(headers: Record<string, string> = { "x-hutch-extras": "1" }) {
  const answer = await application.send("GET", "/api/ps", undefined, headers);
  return (await answer.json()) as { models: Record<string, unknown>[]; loading?: unknown[] };
}

test("slots, queue and state of a loaded model, and the models that are to come", async () => {
  application.engine.answers = [{ steps: [gate.promise, "ok"] }];
  const running = Array.from({ length: 4 }, () => ask("a"));
  await until("three run, one waits", () => application.scheduler.running()[0]?.queued === 2);
  expect((await ps()).models[0]).toMatchObject({
    name: "a:latest",
    state: "running",
    slots: { busy: 2, total: 2 },
    queue: 2,
  });
  expect((await ps()).loading).toEqual([]);
  const other = [ask("b"), ask("b")];
  await until("the other model waits", () => application.scheduler.loading().length === 1);
  await until("for both", () => application.scheduler.loading()[0]?.waiting === 2);
  const { models, loading } = await ps();
  expect(models).toMatchObject([{ name: "a:latest", state: "stopping" }]);
  expect(loading).toMatchObject([
    { name: "b:latest", model: "b:latest", state: "queued", waiting: 2 },
  ]);
  gate.resolve();
  for (const { status } of await Promise.all([...running, ...other])) expect(status).toBe(200);
  expect((await ps()).models).toMatchObject([{ name: "b:latest", state: "running", queue: 0 }]);
});

test("a model that loads is told of", async () => {
  application.engine.onLoad = () => gate.promise;
  const first = ask("a");
  await until("it loads", () => application.engine.loads.length > 0);
  expect(await ps()).toMatchObject({
    models: [],
    loading: [{ name: "a:latest", state: "loading" }],
  });
  gate.resolve();
  expect((await first).status).toBe(200);
});

test("without asking there are Ollama's fields alone", async () => {
  await ask("a");
  const plain = await ps({});
  expect(Object.keys(plain)).toEqual(["models"]);
  expect(Object.keys(plain.models[0] ?? {})).toEqual([
    "name",
    "model",
    "size",
    "digest",
    "details",
    "expires_at",
    "size_vram",
    "context_length",
  ]);
});
