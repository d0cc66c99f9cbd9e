/**
 * What must hold when things go wrong, tried on the compiled executable over HTTP: clients that
 * leave, runners and servers that are killed, broken files, huge prompts, slow readers.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  childrenOf,
  createModel,
  haveExecutable,
  isRunning,
  lines,
  startServer,
  type TestServer,
  temporaryFolder,
  testModel,
  until,
} from "../support/executable.ts";

const stories = testModel("stories260K-f32.gguf");
const talk = testModel("tinytalk-3m-q4_0.gguf");
const ready = haveExecutable && stories !== undefined && talk !== undefined;

const greedy = { temperature: 0, seed: 1 };

/** A request that would run for a long time: shifted contexts go on until `num_predict`. */
const endless = {
  model: "stories",
  prompt: "Once upon a time",
  options: { ...greedy, num_ctx: 512, num_predict: 5000, stop: ["<never>"] },
};

async function answerOf(server: TestServer, model: string, prompt: string, predict = 24) {
  const answer = await server.post("/api/generate", {
    model,
    prompt,
    raw: true,
    stream: false,
    options: { ...greedy, num_predict: predict },
  });
  const body = (await answer.json()) as { response?: string; error?: string; done?: boolean };
  return { status: answer.status, response: body.response, error: body.error, done: body.done };
}

describe.skipIf(!ready)("a server under stress", () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer();
    await createModel(server, "stories", stories ?? "");
    await createModel(server, "talk", talk ?? "");
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  test("streams whole lines and ends with exactly one final object", async () => {
    const answer = await server.post("/api/generate", {
      model: "stories",
      prompt: "Once upon a time",
      options: { ...greedy, num_predict: 20 },
    });
    const all: Record<string, unknown>[] = [];
    for await (const line of lines(answer)) all.push(line);
    expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
    expect(all.filter((line) => line.done === true)).toEqual([all.at(-1) ?? {}]);
    expect(all.at(-1)).toMatchObject({ model: "stories", done_reason: "length", eval_count: 20 });
    expect(all.length).toBeGreaterThan(5);
  });

  test("gives eight clients at once the text that each gets alone", async () => {
    const prompts = [
      "Tom",
      "A cat",
      "One day",
      "The sun",
      "Lily saw",
      "In a box",
      "My dog",
      "They ran",
    ];
    const alone: unknown[] = [];
    for (const prompt of prompts) alone.push(await answerOf(server, "stories", prompt));
    const together = await Promise.all(
      prompts.map((prompt) => answerOf(server, "stories", prompt)),
    );
    expect(together).toEqual(alone as typeof together);
    expect(together.every(({ status, done }) => status === 200 && done === true)).toBe(true);
  });

  test("serves two models side by side", async () => {
    const [first, second] = await Promise.all([
      answerOf(server, "stories", "Once"),
      answerOf(server, "talk", "hello"),
    ]);
    expect([first.status, second.status]).toEqual([200, 200]);
    const { models } = (await (await server.request("GET", "/api/ps")).json()) as {
      models: { name: string }[];
    };
    expect(models.map(({ name }) => name).sort()).toEqual(["stories:latest", "talk:latest"]);
  });

  test("answers a prompt of 1 MB by the rules: cut with truncation, refused without", async () => {
    const prompt = "Once upon a time there was a little girl. ".repeat(25_000);
    const cut = await server.post("/api/generate", {
      model: "stories",
      prompt,
      stream: false,
      options: { ...greedy, num_predict: 4 },
    });
    expect(cut.status).toBe(200);
    expect(await cut.json()).toMatchObject({ done: true, eval_count: 4 });
    const refused = await server.post("/api/generate", {
      model: "stories",
      prompt,
      stream: false,
      shift: false,
      truncate: false,
      options: { ...greedy, num_predict: 4 },
    });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toEqual({
      error: expect.stringMatching(/exceeds the context length|longer than the context length/),
    });
  });

  test("ends the stream with a clear error when the runner is killed, and serves the next request", async () => {
    await answerOf(server, "stories", "Tom");
    const answer = await server.post("/api/generate", endless);
    const all: Record<string, unknown>[] = [];
    for await (const line of lines(answer)) {
      all.push(line);
      if (all.length === 3) {
        for (const pid of await childrenOf(server.pid)) process.kill(pid, "SIGKILL");
      }
    }
    expect(all.at(-1)).toEqual({ error: expect.stringMatching(/\S/) });
    expect(all.some((line) => line.done === true)).toBe(false);
    expect(await answerOf(server, "stories", "Tom")).toMatchObject({ status: 200, done: true });
  });

  test("refuses a GGUF cut off at any place, at create, and keeps serving", async () => {
    const bytes = await Bun.file(stories ?? "").bytes();
    for (const size of [3, 4, 8, 23, 24, 100, 5000, 20_000, bytes.length - 1]) {
      const cut = bytes.slice(0, size);
      const digest = `sha256:${new Bun.CryptoHasher("sha256").update(cut).digest("hex")}`;
      await fetch(`${server.url}/api/blobs/${digest}`, { method: "POST", body: cut });
      const answer = await server.post("/api/create", {
        model: "broken",
        files: { "model.gguf": digest },
        stream: false,
      });
      expect({ size, status: answer.status, body: await answer.json() }).toEqual({
        size,
        status: 400,
        body: { error: expect.stringMatching(/\S/) },
      });
    }
    expect(await answerOf(server, "broken", "x")).toMatchObject({ status: 404 });
    expect(await answerOf(server, "stories", "Tom")).toMatchObject({ status: 200 });
  });

  test("refuses to load a blob that was damaged after it was created", async () => {
    await createModel(server, "damaged", talk ?? "", { system: "x" });
    await using other = await startServer({ home: server.home });
    const blobs = join(server.home, ".ollama/models/blobs");
    const digest = new Bun.CryptoHasher("sha256").update(await Bun.file(talk ?? "").bytes());
    const blob = join(blobs, `sha256-${digest.digest("hex")}`);
    const whole = await Bun.file(blob).bytes();
    try {
      await Bun.write(blob, whole.slice(0, 10_000));
      const answer = await answerOf(other, "damaged", "x");
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.error).toMatch(/\S/);
    } finally {
      await Bun.write(blob, whole);
    }
    expect(await answerOf(other, "damaged", "x")).toMatchObject({ status: 200 });
  });
});

describe.skipIf(!ready)("a server that ends", () => {
  test("leaves no child behind when it is killed, and serves again after a restart", async () => {
    await using home = await temporaryFolder();
    await using first = await startServer({ home: home.path });
    await createModel(first, "stories", stories ?? "");
    const before = await answerOf(first, "stories", "Once");
    const children = await childrenOf(first.pid);
    expect(children).toHaveLength(1);
    await first.stop("SIGKILL");
    for (const pid of children) {
      await until(`child ${pid} ends with its parent`, async () => !(await isRunning(pid)));
    }
    await using second = await startServer({ home: home.path });
    expect(await answerOf(second, "stories", "Once")).toEqual(before);
  });

  test("ends with 0 on SIGTERM and takes its children along", async () => {
    await using server = await startServer();
    await createModel(server, "stories", stories ?? "");
    await answerOf(server, "stories", "Once");
    const children = await childrenOf(server.pid);
    expect(await server.stop("SIGTERM")).toBe(0);
    for (const pid of children) {
      await until(`child ${pid} ends`, async () => !(await isRunning(pid)));
    }
  });

  test("leaves no temporary files in its store or in the temp folder", async () => {
    await using home = await temporaryFolder();
    await using temp = await temporaryFolder();
    await using server = await startServer({ home: home.path, env: { TMPDIR: temp.path } });
    await createModel(server, "stories", stories ?? "");
    await answerOf(server, "stories", "Once");
    await server.stop("SIGTERM");
    expect(await readdir(temp.path)).toEqual([]);
    const blobs = await readdir(join(home.path, ".ollama/models/blobs"));
    expect(blobs.filter((name) => !/^sha256-[0-9a-f]{64}$/.test(name))).toEqual([]);
  });
});

describe.skipIf(!ready)("the first start", () => {
  test("unpacks once when ten processes start at the same time with an empty cache", async () => {
    await using home = await temporaryFolder();
    await using seed = await startServer({ home: home.path });
    await createModel(seed, "stories", stories ?? "");
    await seed.stop();
    const servers = await Promise.all(
      Array.from({ length: 10 }, () =>
        startServer({ home: home.path, env: { HUTCH_CACHE: join(home.path, "fresh-cache") } }),
      ),
    );
    try {
      const answers = await Promise.all(
        servers.map((server) => answerOf(server, "stories", "Once", 4)),
      );
      expect(answers).toEqual(Array.from(answers, () => answers[0] ?? expect.anything()));
      expect(answers[0]).toMatchObject({ status: 200, done: true });
      expect(await readdir(join(home.path, "fresh-cache"))).toHaveLength(1);
    } finally {
      for (const server of servers) await server[Symbol.asyncDispose]();
    }
  }, 120_000);

  test("repairs a damaged library in the cache", async () => {
    await using home = await temporaryFolder();
    const cache = join(home.path, "cache");
    const env = { HUTCH_CACHE: cache };
    await using first = await startServer({ home: home.path, env });
    await createModel(first, "stories", stories ?? "");
    const before = await answerOf(first, "stories", "Once");
    await first.stop();
    const [folder] = await readdir(cache);
    const libraries = (await readdir(join(cache, folder ?? ""))).filter((name) =>
      name.includes("llama"),
    );
    const victim = join(cache, folder ?? "", libraries[0] ?? "");
    await Bun.write(victim, "not a library");
    await using second = await startServer({ home: home.path, env });
    expect(await answerOf(second, "stories", "Once")).toEqual(before);
  });
});
