/** Models that a hub keeps in shards (registry.md 9): pulled by its own API, made into one file. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "../../src/cli/client.ts";
import { exitCodeOf, exitCodes } from "../../src/cli/exit-codes.ts";
import { errorMessage } from "../../src/errors.ts";
import { parseDigest } from "../../src/model/digest.ts";
import { lockModel, parseLock, renderLock } from "../../src/model/pinned.ts";
import { chooseShards, type HubTree } from "../../src/model/registry/hub.ts";
import type { Application } from "../support/application.ts";
import { runOn, testContext } from "../support/command-line.ts";
import { type FakeRegistry, ranged, sha256 } from "../support/fake-registry.ts";
import { ggufBytes } from "../support/gguf.ts";
import { withRegistry } from "../support/with-registry.ts";

let application: Application;
let registry: FakeRegistry;
withRegistry({}, (scene) => {
  ({ application, registry } = scene);
});

const model = () => `${registry.host}/u/m:q8_0`;

const shard = (index: number, tensors: Record<string, number[]>) =>
  ggufBytes({
    metadata: { "split.no": index, "split.count": 2, "split.tensors.count": 2 },
    tensors,
  });
const files: Record<string, Uint8Array> = {
  "Q8_0/m-Q8_0-00001-of-00002.gguf": shard(0, { "token_embd.weight": [8, 4] }),
  "Q8_0/m-Q8_0-00002-of-00002.gguf": shard(1, { "output_norm.weight": [8] }),
};
const entry = (path: string, content: Uint8Array) => ({
  type: "file",
  path,
  size: content.length,
  lfs: { oid: sha256(content).slice(7), size: content.length, pointerSize: 133 },
});
const commit = "c0ffee".padEnd(40, "0");
const tree = Object.entries(files).map(([path, content]) => entry(path, content));

/** Answers as the hub does. */
function actAsHub(list: unknown = tree): void {
  const port = registry.host.split(":")[1];
  registry.intercept = (request, url) => {
    if (url.pathname.includes("/manifests/")) {
      return Response.json({ error: "The specified tag is a sharded GGUF." }, { status: 400 });
    }
    if (url.pathname === "/api/models/u/m/tree/main") {
      return Response.json(list, { headers: { "x-repo-commit": commit } });
    }
    const path = /^\/u\/m\/resolve\/main\/(.+)$/.exec(decodeURIComponent(url.pathname))?.[1];
    if (path === undefined) return undefined;
    if (url.hostname !== "localhost") {
      const location = `http://localhost:${port}${url.pathname}`;
      return new Response(null, { status: 302, headers: { location } });
    }
    return ranged(files[path] ?? new Uint8Array(), request.headers.get("range"));
  };
}

test("the shards of a quantisation are pulled and become one model", async () => {
  actAsHub();
  const name = model();
  const lines = (await application.lines("/api/pull", { model: name, insecure: true })) as {
    status: string;
    digest?: string;
  }[];
  expect(lines.at(-1)).toEqual({ status: "success" });
  const pulled = new Set(lines.flatMap(({ digest }) => digest ?? []));
  expect(Object.values(files).every((content) => pulled.has(sha256(content)))).toBe(true);
  const { status, body } = await application.post("/api/show", { model: name, verbose: true });
  expect(status).toBe(200);
  const { tensors } = body as { tensors: { name: string }[] };
  expect(tensors.map((tensor) => tensor.name).toSorted()).toEqual([
    "output_norm.weight",
    "token_embd.weight",
  ]);
  const left = readdirSync(join(application.store.root, "blobs"));
  const shards = Object.values(files).map((content) => sha256(content).replace(":", "-"));
  expect(left.filter((file) => shards.includes(file))).toEqual([]);
  const digests = Object.values(files).map((content) => sha256(content));
  expect(lockModel(application.store, name)).toMatchObject({ commit, shards: digests });
});

/** Runs a command line on the application; returns its exit code, and the error it ended with. */
async function hutch(...argv: string[]): Promise<[code: number, said: string]> {
  const client = new Client("http://localhost", (request) => application.app.handle(request));
  const context = {
    ...testContext({ env: { HOME: application.home } }),
    client: async () => client,
  };
  const [name = "", ...rest] = argv;
  try {
    return [await runOn(context, name, [...rest, "--lock-file", lockFile()]), context.printed.out];
  } catch (error) {
    return [exitCodeOf(error, true), errorMessage(error)];
  }
}

const lockFile = () => join(application.home, "models.lock");
const frozen = () => hutch("pull", "--frozen", "--insecure");
const blobRequests = () => registry.seen.filter(({ path }) => path.includes("/resolve/")).length;

/** Pulls the model, locks it and removes it again. */
async function lockAndForget(): Promise<void> {
  actAsHub();
  await application.lines("/api/pull", { model: model(), insecure: true });
  expect((await hutch("lock", model()))[0]).toBe(exitCodes.ok);
  await application.send("DELETE", "/api/delete", { model: model() });
}

test("pull --frozen makes what is locked of the same shards again", async () => {
  await lockAndForget();
  expect(await hutch("verify", "--lock")).toEqual([
    exitCodes.drift,
    `missing ${model()}\n0 models, 0 blobs, 0 B: all sound\n`,
  ]);
  const before = lockModelText();
  expect(await frozen()).toEqual([exitCodes.ok, ""]);
  expect((await hutch("verify", "--lock"))[0]).toBe(exitCodes.ok);
  expect((await hutch("lock", model()))[0]).toBe(exitCodes.ok);
  expect(lockModelText()).toBe(before);
  const asked = registry.seen.length;
  expect(await frozen()).toEqual([exitCodes.ok, ""]);
  expect(registry.seen.length).toBe(asked);
});

const lockModelText = () => readFileSync(lockFile(), "utf8");

const third = entry("Q8_0/m-Q8_0-00002-of-00002.gguf", shard(1, { "output_norm.weight": [16] }));
const digits = (each: typeof third | undefined) => each?.lfs.oid.slice(0, 12);
test.each([
  [
    "another shard",
    [tree[0], third],
    `${digits(third)} as m-Q8_0-00002-of-00002.gguf, locked is ${digits(tree[1])}`,
  ],
  [
    "another number of shards",
    tree
      .map((each) => ({ ...each, path: each.path.replace("00002.gguf", "00003.gguf") }))
      .concat({
        ...third,
        path: "Q8_0/m-Q8_0-00003-of-00003.gguf",
      }),
    "the model in 3 shards, locked is 2",
  ],
])("%s than is locked is refused before it is downloaded", async (_, list, reason) => {
  await lockAndForget();
  actAsHub(list);
  const before = blobRequests();
  expect(await frozen()).toEqual([
    exitCodes.drift,
    `409 Conflict: pull "${model()}": the registry has ${reason}`,
  ]);
  expect(blobRequests()).toBe(before);
});

test("a lock of one file does not take shards, nor a lock of shards one file", async () => {
  await lockAndForget();
  const { models } = parseLock(lockModelText(), "");
  const unsharded = models.map(({ shards: _, ...one }) => one);
  writeFileSync(lockFile(), renderLock({ version: 1, models: unsharded }));
  expect((await frozen())[1]).toEndWith("the registry has the model in 2 shards, locked is none");
  writeFileSync(lockFile(), renderLock({ version: 1, models }));
  registry.intercept = () => undefined;
  registry.publish("u/m", [], "q8_0");
  expect((await frozen())[1]).toMatch(/the registry has [0-9a-f]{12}, locked is [0-9a-f]{12}$/);
});

test("shards that would make another model than is locked make none", async () => {
  await lockAndForget();
  const { models } = parseLock(lockModelText(), "");
  const other = models.map((one) => ({ ...one, digest: "f".repeat(64) }));
  writeFileSync(lockFile(), renderLock({ version: 1, models: other }));
  const [code, said] = await frozen();
  expect(code).toBe(exitCodes.drift);
  expect(said).toMatch(/: this hutch makes [0-9a-f]{12} of its files, locked is f{12}$/);
  expect(application.store.names()).toEqual([]);
});

test("verify --repair pulls and merges shards again", async () => {
  actAsHub();
  await application.lines("/api/pull", { model: model(), insecure: true });
  const [layer] = lockModel(application.store, model()).blobs;
  writeFileSync(application.store.blobPath(parseDigest(layer?.digest ?? "")), "damaged");
  expect((await hutch("verify"))[0]).toBe(exitCodes.error);
  const [code, said] = await hutch("verify", "--repair", "--insecure");
  expect([code, said.split("\n").at(-2)]).toEqual([exitCodes.ok, `repaired ${model()}`]);
  expect((await hutch("verify"))[0]).toBe(exitCodes.ok);
});

test.each([
  [[], 'the repository has no shards for "q8_0"'],
  [tree.slice(0, 1), 'the repository lacks shard 2 of 2 of "q8_0"'],
  [{}, "the list of files: /: Expected array"],
])("a hub's list %# that does not do is told clearly", async (list, error) => {
  actAsHub(list);
  const model = `${registry.host}/u/m:q8_0`;
  const lines = await application.lines("/api/pull", { model, insecure: true });
  expect(lines.at(-1)).toEqual({ error });
});

test("a tag is a word of the path, a file's name, or latest", () => {
  const oid = "0".repeat(64);
  const list: HubTree = ["IQ4_K_M/m-IQ4_K_M", "m-Q4_K_M", "m-Q4_K_M_L", "big.F16"].flatMap((name) =>
    [1, 2].map((n) => ({
      type: "file",
      path: `${name}-0000${n}-of-00002.gguf`,
      lfs: { oid, size: 1 },
    })),
  );
  const chosen = (tag: string) => chooseShards(list, tag, (path) => path)[0]?.path;
  expect(chosen("q4_k_m")).toBe("m-Q4_K_M-00001-of-00002.gguf");
  expect(chosen("latest")).toBe("m-Q4_K_M-00001-of-00002.gguf");
  expect(chosen("F16")).toBe("big.F16-00001-of-00002.gguf");
  expect(chosen("IQ4_K_M")).toBe("IQ4_K_M/m-IQ4_K_M-00001-of-00002.gguf");
  expect(chosen("big.F16-00002-of-00002.gguf")).toBe("big.F16-00001-of-00002.gguf");
  expect(() => chosen("Q2_K")).toThrow('the repository has no shards for "Q2_K"');
});
