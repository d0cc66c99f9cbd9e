/** Models that a hub keeps in shards (registry.md 9): pulled by its own API, made into one file. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { lockModel } from "../../src/model/pinned.ts";
import { chooseShards, type HubTree } from "../../src/model/registry/hub.ts";
import type { Application } from "../support/application.ts";
import { type FakeRegistry, ranged, sha256 } from "../support/fake-registry.ts";
import { ggufBytes } from "../support/gguf.ts";
import { withRegistry } from "../support/with-registry.ts";

let application: Application;
let registry: FakeRegistry;
withRegistry({}, (scene) => {
  ({ application, registry } = scene);
});

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
  const name = `${registry.host}/u/m:q8_0`;
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
  expect(lockModel(application.store, name).commit).toBe(commit);
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
