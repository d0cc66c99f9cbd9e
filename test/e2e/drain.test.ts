/** How a server ends: running answers go on, new work is refused, a second signal cuts. */
import { describe, expect, test } from "bun:test";
import {
  createModel,
  haveExecutable,
  lines,
  startServer,
  type TestServer,
  testModel,
  until,
} from "../support/executable.ts";

const stories = testModel("stories260K-f32.gguf");
const ready = haveExecutable && stories !== undefined;

/** Begins a stream of so many tokens and waits for its first line. */
async function begin(server: TestServer, tokens: number) {
  const answer = await server.post("/api/generate", {
    model: "stories",
    prompt: "Once upon a time",
    options: { temperature: 0, num_ctx: 512, num_predict: tokens, stop: ["<never>"] },
  });
  const stream = lines(answer);
  expect((await stream.next()).done).toBe(false);
  return stream;
}

/** Whether a stream came to its final object. */
async function isWhole(stream: AsyncGenerator<Record<string, unknown>>): Promise<boolean> {
  try {
    for await (const line of stream) if (line.done === true) return true;
  } catch {
    return false; // the connection was cut
  }
  return false;
}

async function isDraining(server: TestServer): Promise<boolean> {
  return (await server.request("GET", "/readyz")).status === 503;
}

describe.skipIf(!ready)("a server that is asked to end", () => {
  test("refuses new work, finishes what runs, and exits with 0", async () => {
    await using server = await startServer();
    await createModel(server, "stories", stories ?? "");
    const stream = await begin(server, 4000);
    process.kill(server.pid, "SIGTERM");
    await until("readyz says so", () => isDraining(server));
    const refused = await server.post("/api/generate", { model: "stories", prompt: "x" });
    expect([refused.status, refused.headers.get("retry-after"), await refused.json()]).toEqual([
      503,
      "1",
      { error: "the server is shutting down" },
    ]);
    let last: Record<string, unknown> = {};
    for await (const line of stream) last = line;
    expect(last).toMatchObject({ done: true, done_reason: "length", eval_count: 4000 });
    await until("the server ends", () => server.exitCode() !== undefined);
    expect(server.exitCode()).toBe(0);
  });

  test("cuts running answers at the second signal", async () => {
    await using server = await startServer();
    await createModel(server, "stories", stories ?? "");
    const stream = await begin(server, 5000);
    process.kill(server.pid, "SIGTERM");
    await until("readyz says so", () => isDraining(server));
    process.kill(server.pid, "SIGTERM");
    await until("the server ends", () => server.exitCode() !== undefined);
    expect(server.exitCode()).toBe(0);
    expect(await isWhole(stream)).toBe(false);
    expect(server.log()).toContain("running requests are cut off");
  });

  test("cuts running answers when their time is over", async () => {
    await using server = await startServer({ env: { HUTCH_DRAIN_TIMEOUT: "50ms" } });
    await createModel(server, "stories", stories ?? "");
    const stream = await begin(server, 5000);
    process.kill(server.pid, "SIGTERM");
    await until("the server ends", () => server.exitCode() !== undefined);
    expect(server.exitCode()).toBe(0);
    expect(await isWhole(stream)).toBe(false);
    expect(server.log()).toContain("running requests are cut off");
  });
});
