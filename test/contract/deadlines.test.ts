/** Deadlines through the application: the status, the error line, and that the slot is free again. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type Application, openApplication } from "../support/application.ts";
import { until } from "../support/until.ts";

let application: Application;
const gates: (() => void)[] = [];
beforeEach(async () => {
  application = openApplication({
    env: { HUTCH_NUM_PARALLEL: "1", HUTCH_FIRST_TOKEN_TIMEOUT: "1h" },
  });
  await application.create("m");
});
afterEach(async () => {
  for (const open of gates.splice(0)) open();
  await application[Symbol.asyncDispose]();
});

/** Something that takes until the end of the test. */
function never(): Promise<void> {
  const gate = Promise.withResolvers<void>();
  gates.push(gate.resolve);
  return gate.promise;
}

const ask = (headers: Record<string, string>, more: Record<string, unknown> = {}) =>
  application.send(
    "POST",
    "/api/generate",
    { model: "m", prompt: "x", raw: true, ...more },
    headers,
  );
const idle = () => application.scheduler.running().every(({ busy, queued }) => busy + queued === 0);

async function refused(answer: Response): Promise<[number, string]> {
  const body = (await answer.json()) as { error: string };
  return [answer.status, body.error];
}

test("no first token in time is 504 with what was waited for, and the slot is free", async () => {
  application.engine.answers = [{ steps: [never(), "late"] }];
  for (const stream of [true, false]) {
    const [status, error] = await refused(
      await ask({ "x-hutch-first-token-timeout": "20ms" }, { stream }),
    );
    expect([status, error]).toEqual([
      504,
      expect.stringMatching(/^timed out after 0.02 s of waiting for the first token/),
    ]);
  }
  await until("the slot is free", idle);
  expect(application.engine.canceled).toBe(2);
});

test("no next token in time ends the stream with an error line", async () => {
  application.engine.answers = [{ steps: ["a", "b", never(), "late"] }];
  const answer = await ask({ "x-hutch-token-timeout": "20ms" });
  const lines = (await answer.text()).trimEnd().split("\n");
  expect(answer.status).toBe(200);
  expect(lines.map((line) => Object.keys(JSON.parse(line)).includes("response"))).toEqual([
    true,
    true,
    false,
  ]);
  expect(JSON.parse(lines[2] ?? "")).toEqual({
    error: expect.stringMatching(/^timed out after 0.02 s of waiting for the next token/),
  });
  await until("the slot is free", idle);
});

test("a wait for a slot ends, while those that have one go on", async () => {
  const gate = Promise.withResolvers<void>();
  application.engine.answers = [{ steps: [gate.promise, "ok"] }];
  const running = [ask({}), ask({})];
  await until("both run", () => application.engine.requests.length === 2);
  const [status, error] = await refused(await ask({ "x-hutch-queue-timeout": "20ms" }));
  expect([status, error]).toEqual([
    504,
    expect.stringMatching(/^timed out after 0.02 s of waiting for a free slot/),
  ]);
  gate.resolve();
  for (const answer of await Promise.all(running)) expect(await answer.text()).toContain("ok");
  await until("all is idle", idle);
});

test("a load that takes too long ends, and the next request loads anew", async () => {
  application.engine.onLoad = (_, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  const [status, error] = await refused(await ask({ "x-hutch-load-timeout": "20ms" }));
  expect([status, error]).toEqual([
    504,
    expect.stringMatching(/^timed out after 0.02 s of waiting for the model to load/),
  ]);
  application.engine.onLoad = async () => {};
  expect((await ask({})).status).toBe(200);
});

describe("limits that variables set hold without a header:", () => {
  const limited = async (name: string, more: Record<string, string> = {}) => {
    await application[Symbol.asyncDispose]();
    application = openApplication({ env: { HUTCH_NUM_PARALLEL: "1", [name]: "20ms", ...more } });
    await application.create("m");
  };

  test("HUTCH_QUEUE_TIMEOUT", async () => {
    await limited("HUTCH_QUEUE_TIMEOUT");
    application.engine.answers = [{ steps: [never(), "ok"] }];
    void ask({}).catch(() => undefined);
    void ask({}).catch(() => undefined);
    await until("two run", () => application.engine.requests.length === 2);
    expect(await refused(await ask({}))).toEqual([
      504,
      expect.stringMatching(
        /^timed out after 0.02 s of waiting for a free slot .* its variable\)$/,
      ),
    ]);
  });

  test("HUTCH_FIRST_TOKEN_TIMEOUT", async () => {
    await limited("HUTCH_FIRST_TOKEN_TIMEOUT");
    application.engine.answers = [{ steps: [never(), "late"] }];
    expect(await refused(await ask({ "x-hutch-first-token-timeout": "1h" }))).toEqual([
      504,
      expect.stringMatching(/^timed out after 0.02 s of waiting for the first token/),
    ]);
  });

  for (const [name, what] of [
    ["HUTCH_TOKEN_TIMEOUT", "the next token"],
    ["HUTCH_REQUEST_TIMEOUT", "the end of the answer"],
  ] as const) {
    test(name, async () => {
      await limited(name);
      application.engine.answers = [{ steps: ["a", never(), "late"] }];
      const text = await (await ask({})).text();
      expect(text.trimEnd().split("\n").at(-1)).toMatch(
        new RegExp(`^{"error":"timed out after 0.02 s of waiting for ${what}`),
      );
      await until("the slot is free", idle);
    });
  }
});

describe("a runner that stands still while the prompt is made", () => {
  const chat = (headers: Record<string, string>, signal?: AbortSignal) =>
    application.app.handle(
      new Request("http://localhost/api/chat", {
        method: "POST",
        headers,
        body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "x" }] }),
        ...(signal === undefined ? {} : { signal }),
      }),
    );
  const held = () => application.scheduler.running().map(({ stopping }) => stopping);
  beforeEach(async () => {
    await ask({}, { stream: false });
    for (const model of application.engine.models) {
      model.applyTemplate = async () => {
        await never();
        return "";
      };
    }
  });

  test("holds nobody beyond the limit of the whole request", async () => {
    expect(await refused(await chat({ "x-hutch-request-timeout": "20ms" }))).toEqual([
      504,
      expect.stringMatching(/^timed out after 0.02 s of waiting for the end of the answer/),
    ]);
  });

  test("is not held by a client that left", async () => {
    const leaver = new AbortController();
    const answer = chat({}, leaver.signal);
    await until("the prompt is made", () => gates.length === 1);
    leaver.abort();
    expect((await answer).status).toBe(499);
    // An idle model goes at once, one that somebody holds would stay.
    await application.send("POST", "/api/generate", { model: "m", keep_alive: 0 });
    await until("the model is gone", () => held().length === 0);
  });
});

test("a pull's limit ends it with an error that says so, as a line or alone", async () => {
  await using registry = Bun.serve({
    port: 0,
    fetch: async () => {
      await never();
      return new Response("late");
    },
  });
  for (const stream of [true, false]) {
    const body = { model: `http://127.0.0.1:${registry.port}/a/b`, insecure: true, stream };
    const headers = { "x-hutch-request-timeout": "20ms" };
    const answer = await application.send("POST", "/api/pull", body, headers);
    expect(answer.status).toBe(stream ? 200 : 504);
    expect((await answer.text()).trimEnd().split("\n").at(-1)).toMatch(
      /^{"error":"timed out after 0.02 s of waiting for the end of the answer/,
    );
  }
});

test("a request as a whole has a limit; a limit that is no duration is refused", async () => {
  application.engine.answers = [{ steps: ["a", never()] }];
  const answer = await ask({ "x-hutch-request-timeout": "50ms" });
  expect((await answer.text()).trimEnd().split("\n").at(-1)).toMatch(
    /^{"error":"timed out after 0.05 s of waiting for the end of the answer, still waiting for the next token/,
  );
  expect(await refused(await ask({ "x-hutch-request-timeout": "soon" }))).toEqual([
    400,
    expect.stringMatching(/^header x-hutch-request-timeout: "soon"/),
  ]);
});
