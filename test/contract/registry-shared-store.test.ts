/** Two servers on one store: a lock file decides who downloads; nobody waits for the dead. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { expiryMs, FileLock } from "../../src/model/lock.ts";
import { type Application, openApplication } from "../support/application.ts";
import { type FakeRegistry, sha256, startFakeRegistry } from "../support/fake-registry.ts";

let first: Application;
let second: Application;
let registry: FakeRegistry;
let folder: string;
beforeEach(() => {
  first = openApplication();
  folder = first.store.root;
  second = openApplication({ env: { HUTCH_MODELS: folder } });
  registry = startFakeRegistry();
});
afterEach(async () => {
  await second[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

const content = new Uint8Array(300_000).fill(7);
const publish = () =>
  registry.publish("u/m", [
    {
      mediaType: "application/vnd.docker.container.image.v1+json",
      content: Uint8Array.of(123, 125),
    },
    { mediaType: "application/vnd.ollama.image.model", content },
  ]);
const pull = (application: Application, model: string) =>
  application.post("/api/pull", { model, insecure: true, stream: false });
const success = { status: 200, body: { status: "success" } };
const lockPath = () => `${join(folder, "blobs", sha256(content).replace(":", "-"))}.lock`;

describe("a blob that two servers want", () => {
  test("is downloaded by one of them, and both have the model", async () => {
    const name = publish();
    expect(await Promise.all([pull(first, name), pull(second, name)])).toEqual([success, success]);
    const asked = registry.seen.filter(({ path }) => path.endsWith(sha256(content)));
    expect(asked.length).toBe(1);
    expect(existsSync(lockPath())).toBe(false);
  });

  test.each([
    ["whose process is gone", { pid: 2 ** 22 + 1, host: hostname(), token: "x" }, 0],
    ["that nobody refreshed", { pid: process.pid, host: "elsewhere", token: "x" }, expiryMs + 1000],
  ])("is not kept by a lock %s", async (_, owner, age) => {
    const name = publish();
    mkdirSync(join(folder, "blobs"), { recursive: true });
    writeFileSync(lockPath(), JSON.stringify(owner));
    const time = new Date(Date.now() - age);
    utimesSync(lockPath(), time, time);
    expect(await pull(first, name)).toEqual(success);
  });
});

describe("a lock", () => {
  test("has one owner, and is free after it", () => {
    const path = join(folder, "x.lock");
    const one = FileLock.take(path);
    expect(one).toBeDefined();
    expect(FileLock.take(path)).toBeUndefined();
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ pid: process.pid });
    one?.[Symbol.dispose]();
    expect(existsSync(path)).toBe(false);
    const two = FileLock.take(path);
    expect(two).toBeDefined();
    two?.[Symbol.dispose]();
  });

  test("that another took over is not removed by its old owner", () => {
    const path = join(folder, "x.lock");
    const one = FileLock.take(path);
    writeFileSync(path, "another's");
    one?.[Symbol.dispose]();
    expect(readFileSync(path, "utf8")).toBe("another's");
  });
});
