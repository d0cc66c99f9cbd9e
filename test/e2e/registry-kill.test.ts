/**
 * kill -9 at any moment of a pull, push, copy, create or delete: the next start finds a store in which
 * every listed model verifies, a download has lost at most 8 MiB, and garbage is collected.
 * `HUTCH_TEST_KILLS` sets the number of kills (default 10), `HUTCH_TEST_SEED` repeats a run.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "../../src/logger.ts";
import { Store } from "../../src/model/store.ts";
import { planVerification, verifyBlob } from "../../src/model/verify.ts";
import {
  createModel,
  haveExecutable,
  lines,
  startServer,
  type TestServer,
  temporaryFolder,
  testModel,
} from "../support/executable.ts";
import { type FakeRegistry, sha256, startFakeRegistry } from "../support/fake-registry.ts";

const kills = Number(process.env.HUTCH_TEST_KILLS ?? 10);
const seed = Number(process.env.HUTCH_TEST_SEED ?? Date.now() % 1_000_000);
const mebibyte = 2 ** 20;
const stories = testModel("stories260K-f32.gguf");

/** Numbers in [0, 1) that a seed repeats (mulberry32). */
function random(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes of a blob as a body that takes its time, so that kills fall into the middle. */
function paced(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      if (at >= bytes.length) return controller.close();
      await Bun.sleep(4); // the line's pace, not a wait for a condition
      controller.enqueue(bytes.subarray(at, at + 512 * 1024));
      at += 512 * 1024;
    },
  });
}

describe.skipIf(!haveExecutable || stories === undefined)(`${kills} kills, seed ${seed}`, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let registry: FakeRegistry;
  let server: TestServer | undefined;
  let name: string;
  const big = new Uint8Array(48 * mebibyte);
  let digest = "";
  const next = random(seed);

  beforeAll(async () => {
    folder = await temporaryFolder();
    registry = startFakeRegistry();
    for (let i = 0; i < big.length; i += 4096) big[i] = (i * 2654435761) >>> 24;
    digest = sha256(big);
    const text = (content: string) => new TextEncoder().encode(content);
    name = registry.publish("u/m", [
      {
        mediaType: "application/vnd.docker.container.image.v1+json",
        content: text('{"model_format":"gguf"}'),
      },
      { mediaType: "application/vnd.ollama.image.model", content: big },
      { mediaType: "application/vnd.ollama.image.system", content: text("Be brief.") },
    ]);
    registry.intercept = (request, url) => {
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
      if (first === undefined || !url.pathname.endsWith(digest)) return undefined;
      return new Response(paced(big.subarray(Number(first), Number(last) + 1)), {
        status: 206,
        headers: { "content-range": `bytes ${first}-${last}/${big.length}` },
      });
    };
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  const root = () => join(folder.path, ".ollama/models");
  const store = () => new Store(root(), { noPrune: false, logger: silentLogger });
  const blob = () => join(root(), "blobs", digest.replace(":", "-"));

  /** Models that are listed but do not verify. */
  async function unsound(): Promise<string[]> {
    const found = store();
    const { blobs, unreadable } = planVerification(found, undefined);
    const all = await Promise.all(
      [...blobs].map(([digest, names]) => verifyBlob(found, digest, names, () => {})),
    );
    const bad = all.filter(({ state }) => state !== "sound");
    return [...bad.map(({ digest, state }) => `${state} ${digest}`), ...unreadable.map(String)];
  }

  /** Bytes of the big blob that are noted as there. */
  function noted(): number {
    if (existsSync(blob())) return big.length;
    const path = `${blob()}-partial-0`;
    if (!existsSync(path)) return 0;
    const part = JSON.parse(readFileSync(path, "utf8")) as {
      Completed: number;
      Ranges?: [number, number][];
    };
    return (part.Ranges ?? []).reduce((sum, [from, to]) => sum + to - from, part.Completed);
  }

  /** Follows a stream until its end, or until the server dies. Returns the big blob's last `completed`. */
  async function follow(action: "pull" | "push"): Promise<number> {
    let completed = 0;
    try {
      const answer = await server?.post(`/api/${action}`, { model: name, insecure: true });
      for await (const line of lines(answer as Response)) {
        if (line.digest === digest) completed = Number(line.completed ?? 0);
      }
    } catch {
      // The server was killed: that is the test.
    }
    return completed;
  }

  const others: readonly ((live: TestServer) => Promise<unknown>)[] = [
    (live) => live.post("/api/copy", { source: name, destination: "copy" }),
    (live) => live.request("DELETE", "/api/delete", { model: "copy" }),
    (live) => createModel(live, "made", stories ?? ""),
    (live) => live.request("DELETE", "/api/delete", { model: "made" }),
  ];

  test(
    "leave a store in which every model verifies, and cost a download at most 8 MiB",
    async () => {
      let pulls = 0;
      for (let kill = 0; kill < kills; kill++) {
        server = await startServer({ home: folder.path });
        const delay = next() * 500;
        const choice = next();
        let seen = 0;
        const pulling = choice < 0.6;
        const work = pulling
          ? follow("pull").then((completed) => {
              seen = completed;
            })
          : choice < 0.8 && existsSync(blob())
            ? follow("push")
            : Promise.all(others.map((other) => other(server as TestServer).catch(() => {})));
        await Bun.sleep(delay); // the moment of the kill is what is varied
        await server.stop("SIGKILL");
        await work;
        expect([kill, delay, await unsound()]).toEqual([kill, delay, []]);
        if (pulling) {
          pulls++;
          expect(noted()).toBeGreaterThanOrEqual(seen - 8 * mebibyte);
        }
        if (pulls % 3 === 2 && existsSync(blob())) {
          // Whole: begin with nothing again, so that pulls stay what is interrupted.
          server = await startServer({ home: folder.path });
          await server.request("DELETE", "/api/delete", { model: name });
          await server.request("DELETE", "/api/delete", { model: "copy" });
          await server.stop("SIGKILL");
        }
      }
    },
    20_000 + kills * 5000,
  );

  test("a pull and a push after all that end well, and garbage is collected", async () => {
    server = await startServer({ home: folder.path });
    const pulled = await server.post("/api/pull", { model: name, insecure: true, stream: false });
    expect(await pulled.json()).toEqual({ status: "success" });
    expect(await unsound()).toEqual([]);
    registry.blobs.clear();
    const pushed = await server.post("/api/push", { model: name, insecure: true, stream: false });
    expect(await pushed.json()).toEqual({ status: "success" });
    const right = [...registry.blobs].every(([digest, bytes]) => sha256(bytes) === digest);
    expect([registry.blobs.size, right]).toEqual([3, true]);
    await server.stop();
    const old = new Date(Date.now() - 25 * 3_600_000);
    for (const file of readdirSync(join(root(), "blobs"))) {
      utimesSync(join(root(), "blobs", file), old, old);
    }
    server = await startServer({ home: folder.path });
    const mentioned = [...planVerification(store(), undefined).blobs.keys()];
    expect(readdirSync(join(root(), "blobs")).toSorted()).toEqual(
      mentioned.map((digest) => digest.replace(":", "-")).toSorted(),
    );
  }, 60_000);
});
