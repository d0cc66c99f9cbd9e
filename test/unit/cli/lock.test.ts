/** `models.lock`: pinning, keys, and pulling what is pinned against a small registry. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { exitCodeOf, exitCodes } from "../../../src/cli/exit-codes.ts";
import { LockError, ModelNotFoundError, ServerError } from "../../../src/errors.ts";
import { silentLogger } from "../../../src/logger.ts";
import { parseName } from "../../../src/model/name.ts";
import {
  drift,
  lockKey,
  lockModel,
  parseLock,
  renderLock,
  withModels,
} from "../../../src/model/pinned.ts";
import { Store } from "../../../src/model/store.ts";
import { runOn, testContext } from "../../support/command-line.ts";
import { temporaryFolder } from "../../support/executable.ts";

function put(store: Store, name: string, system: string): void {
  const { layer: config } = store.putBytes("{}", "application/vnd.docker.container.image.v1+json");
  const { layer } = store.putBytes(system, "application/vnd.ollama.image.system");
  store.writeManifest(parseName(name), config, [layer]);
}

async function withStore<T>(work: (store: Store, folder: string) => Promise<T> | T): Promise<T> {
  await using folder = await temporaryFolder();
  const models = join(folder.path, "models");
  return await work(new Store(models, { noPrune: true, logger: silentLogger }), folder.path);
}

const none = { version: 1, models: [] } as const;

describe("a lock", () => {
  test("holds every digest, sorted, and is read back as it was", () =>
    withStore((store) => {
      put(store, "b", "two");
      put(store, "a:v1", "one");
      const lock = withModels({ ...none, models: [] }, [
        lockModel(store, "b"),
        lockModel(store, "a:v1"),
      ]);
      expect(lock.models.map(({ name, blobs }) => [name, blobs.length])).toEqual([
        ["registry.ollama.ai/library/a:v1", 2],
        ["registry.ollama.ai/library/b:latest", 2],
      ]);
      expect(parseLock(renderLock(lock), "f")).toEqual(lock);
    }));

  test("has a key that changes with its content alone", () =>
    withStore((store) => {
      put(store, "a", "one");
      put(store, "b", "two");
      const [a, b] = [lockModel(store, "a"), lockModel(store, "b")];
      const key = lockKey({ version: 1, models: [a, b] });
      expect(key).toMatch(/^hutch-models-[0-9a-f]{16}$/);
      expect(lockKey({ version: 1, models: [b, a] })).toBe(key);
      put(store, "b", "three");
      expect(lockKey({ version: 1, models: [a, lockModel(store, "b")] })).not.toBe(key);
    }));

  test("tells what the store holds otherwise", () =>
    withStore((store) => {
      put(store, "a", "one");
      put(store, "b", "two");
      const lock = {
        version: 1 as const,
        models: ["a", "b"].map((name) => lockModel(store, name)),
      };
      expect(drift(store, lock)).toEqual([]);
      put(store, "a", "other");
      store.delete(parseName("b"));
      expect(drift(store, lock)).toEqual([
        expect.stringMatching(/^changed a:latest: [0-9a-f]{12}, locked [0-9a-f]{12}$/),
        "missing b:latest",
      ]);
    }));

  test("is refused with the field that does not fit, and needs its models", () =>
    withStore((store) => {
      expect(() => parseLock("{", "f")).toThrow(new LockError('read "f": not valid JSON'));
      expect(() => parseLock('{"version":2,"models":[]}', "f")).toThrow('read "f": /version');
      expect(() => lockModel(store, "nosuch")).toThrow(ModelNotFoundError);
    }));
});

describe("the commands", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let file = "";
  beforeAll(async () => {
    folder = await temporaryFolder();
    file = join(folder.path, "models.lock");
    const store = new Store(join(folder.path, "models"), { noPrune: true, logger: silentLogger });
    put(store, "a", "one");
    put(store, "registry.example/team/b:v1", "two");
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  const env = () => ({ HUTCH_MODELS: join(folder.path, "models") });

  test("lock writes the file, --key and --check read it", async () => {
    const context = testContext({ env: env() });
    const names = ["a", "registry.example/team/b:v1"];
    expect(await runOn(context, "lock", [...names, "--lock-file", file])).toBe(0);
    expect(context.printed.out).toMatch(
      /^locked registry\.ollama\.ai\/library\/a:latest at [0-9a-f]{12}\nlocked registry\.example\/team\/b:v1 at [0-9a-f]{12}\n$/,
    );
    expect(await runOn(context, "lock", ["--key", "--lock-file", file])).toBe(0);
    expect(context.printed.out).toMatch(/hutch-models-[0-9a-f]{16}\n$/);
    expect(await runOn(context, "lock", ["--check", "--lock-file", file])).toBe(0);
  });

  test("lock pins the embedded model before anybody has used it", async () => {
    await using empty = await temporaryFolder();
    const own = join(empty.path, "own.lock");
    const context = testContext({ env: { HUTCH_MODELS: join(empty.path, "models") } });
    expect(await runOn(context, "lock", ["guide", "--lock-file", own])).toBe(0);
    expect(await runOn(context, "lock", ["--check", "--lock-file", own])).toBe(0);
  });

  test("verify --lock says what is not as pinned", async () => {
    const context = testContext({ env: env() });
    const store = new Store(env().HUTCH_MODELS, { noPrune: true, logger: silentLogger });
    const verify = () => runOn(context, "verify", ["--lock", "--quiet", "--lock-file", file]);
    expect(await verify()).toBe(exitCodes.ok);
    put(store, "a", "changed");
    expect(await verify()).toBe(exitCodes.drift);
    expect(context.printed.out).toMatch(/^changed a:latest: /m);
    put(store, "a", "one");
  });

  test("pull --frozen asks for what is not there, by its digest", async () => {
    const { models } = parseLock(await Bun.file(file).text(), file);
    const [b, a] = models;
    const context = testContext({
      env: env(),
      answers: {
        "GET /api/tags": { json: { models: [{ name: "a:latest", digest: a?.digest }] } },
        "POST /api/pull": { lines: [{ status: "success" }] },
      },
    });
    expect(await runOn(context, "pull", ["--frozen", "--lock-file", file])).toBe(0);
    expect(context.sent).toEqual([
      { request: "GET /api/tags", body: undefined },
      {
        request: "POST /api/pull",
        body: { model: "registry.example/team/b:v1", insecure: false, digest: b?.digest },
      },
    ]);
  });

  test("a model that the lock does not name is refused, as is a missing lock", async () => {
    const pull = (...argv: string[]) =>
      runOn(testContext({ env: env() }), "pull", ["--frozen", ...argv]);
    await expect(pull("other", "--lock-file", file)).rejects.toBeInstanceOf(LockError);
    await rm(file);
    await expect(pull("--lock-file", file)).rejects.toThrow("hutch lock MODEL makes it");
    expect(exitCodeOf(new ServerError("", 409, "lock"), true)).toBe(exitCodes.drift);
  });
});
