/** The queue of a loaded model, through the application: its bound, priorities, clients that leave. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { type Application, openApplication } from "../support/application.ts";
import { until } from "../support/until.ts";

let application: Application;
beforeEach(() => {
  application = openApplication({ env: { HUTCH_NUM_PARALLEL: "1", HUTCH_MAX_QUEUE: "2" } });
});
afterEach(() => application[Symbol.asyncDispose]());

const ask = (prompt: string, headers: Record<string, string> = {}, signal?: AbortSignal) =>
  application.app.handle(
    new Request("http://localhost/api/generate", {
      method: "POST",
      headers,
      body: JSON.stringify({ model: "m", prompt, raw: true, stream: false }),
      ...(signal === undefined ? {} : { signal }),
    }),
  );
const queued = () => application.scheduler.running()[0]?.queued;
const prompts = () =>
  application.engine.requests.map(({ prompt }) =>
    prompt.map((part) => ("text" in part ? part.text : "")).join(""),
  );

/** Fills the slot and the engine's waiting place; the result lets all answers go on. */
async function fill(): Promise<{ open: () => void; answers: Promise<Response>[] }> {
  const gate = Promise.withResolvers<void>();
  await application.create("m");
  application.engine.answers = [{ steps: [gate.promise, "ok"] }];
  const answers = [ask("one"), ask("two")];
  await until("both run", () => application.engine.requests.length === 2);
  return { open: gate.resolve, answers };
}

test("beyond the bound a loaded model's requests get 503 with Retry-After", async () => {
  const { open, answers } = await fill();
  answers.push(ask("three"), ask("four"));
  await until("the queue is full", () => queued() === 3);
  const refused = await ask("five");
  expect([refused.status, refused.headers.get("retry-after"), await refused.json()]).toEqual([
    503,
    "1",
    { error: "server busy, please try again.  maximum pending requests exceeded" },
  ]);
  open();
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
});

test("a high priority goes first, a low one last", async () => {
  const { open, answers } = await fill();
  answers.push(ask("low", { "x-hutch-priority": "low" }));
  await until("one waits", () => queued() === 2);
  answers.push(ask("high", { "x-hutch-priority": "HIGH" }));
  await until("two wait", () => queued() === 3);
  open();
  await Promise.all(answers);
  expect(prompts()).toEqual(["one", "two", "high", "low"]);
});

test("a client that leaves the queue makes room", async () => {
  const { open, answers } = await fill();
  const leaver = new AbortController();
  const left = ask("leaver", {}, leaver.signal);
  await until("one waits", () => queued() === 2);
  leaver.abort();
  expect((await left).status).toBe(499);
  expect(queued()).toBe(1);
  open();
  await Promise.all(answers);
});

test("a priority that does not exist is an error that names the header", async () => {
  await application.create("m");
  const answer = await ask("x", { "x-hutch-priority": "urgent" });
  expect([answer.status, await answer.json()]).toEqual([
    400,
    { error: 'header X-Hutch-Priority: "urgent": expected low, normal or high' },
  ]);
});
