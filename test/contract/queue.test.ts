/** The queue of a loaded model, through the application: its bound, priorities, clients that leave. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { EngineCrashedError, NotBegunError } from "../../src/errors.ts";
import { vectorsAtOnce } from "../../src/scheduler/turns.ts";
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

test("one that the engine had not begun with when its process ended is run again", async () => {
  await application.create("m");
  const [begun, later] = [new EngineCrashedError("killed"), new NotBegunError("killed")];
  application.engine.answers = [{ steps: [begun] }, { steps: [later] }, { steps: ["ok"] }];
  const [first, second] = await Promise.all([ask("one"), ask("two")]);
  expect([first?.status, second?.status]).toEqual([500, 200]);
  expect(prompts()).toEqual(["one", "two", "two"]);
});

describe("requests for vectors", () => {
  const embed = (signal?: AbortSignal) =>
    application.app.handle(
      new Request("http://localhost/api/embed", {
        method: "POST",
        body: JSON.stringify({ model: "m", input: "x" }),
        ...(signal === undefined ? {} : { signal }),
      }),
    );

  /** As many as are handed to the engine, none of which ends before `open`; texts begun so far. */
  async function fillVectors() {
    await application.create("m");
    await (await ask("loads")).text();
    const gate = Promise.withResolvers<void>();
    const begun: string[][] = [];
    for (const model of application.engine.models) {
      const own = model.embed.bind(model);
      model.embed = async (texts, options) => {
        begun.push([...texts]);
        await gate.promise;
        return own(texts, options);
      };
    }
    const answers = Array.from({ length: vectorsAtOnce + 1 }, () => embed());
    await until("all have begun", () => begun.length === answers.length);
    return { open: gate.resolve, fail: gate.reject, answers, begun };
  }

  test("wait in a queue with the same bound, and whoever leaves it makes room", async () => {
    const { open, answers, begun } = await fillVectors();
    const leaver = new AbortController();
    const left = embed(leaver.signal);
    answers.push(embed());
    await until("two wait", () => queued() === 2);
    expect((await embed()).status).toBe(503);
    leaver.abort();
    expect((await left).status).toBe(499);
    answers.push(embed());
    await until("two wait", () => queued() === 2);
    open();
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(begun.length).toBe(vectorsAtOnce + 3);
  });

  test("that have not begun when the model dies are run on a new one", async () => {
    const { fail, answers } = await fillVectors();
    const waiting = embed();
    await until("one waits", () => queued() === 1);
    const gone = new EngineCrashedError("killed");
    for (const model of application.engine.models) model.die(gone);
    fail(gone);
    expect((await waiting).status).toBe(200);
    expect(application.engine.loads.length).toBe(2);
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([500]));
  });
});

test("a priority that does not exist is an error that names the header", async () => {
  await application.create("m");
  const answer = await ask("x", { "x-hutch-priority": "urgent" });
  expect([answer.status, await answer.json()]).toEqual([
    400,
    { error: 'header X-Hutch-Priority: "urgent": expected low, normal or high' },
  ]);
});
