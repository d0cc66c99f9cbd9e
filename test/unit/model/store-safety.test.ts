/** Several users of one store at once: what one is about to name, another must not remove. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { StoreError } from "../../../src/errors.ts";
import { silentLogger } from "../../../src/logger.ts";
import { createModel } from "../../../src/model/create/create.ts";
import type { CreateTools } from "../../../src/model/create/request.ts";
import type { Digest } from "../../../src/model/digest.ts";
import { FileLock } from "../../../src/model/lock.ts";
import { parseName } from "../../../src/model/name.ts";
import { Store } from "../../../src/model/store.ts";
import { tinyDecoder } from "../../support/tiny-models.ts";

const folder = mkdtempSync(join(tmpdir(), "hutch-safety-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open = (root: string) => new Store(root, { noPrune: false, logger: silentLogger });
const newRoot = () => mkdtempSync(join(folder, "store-"));

/** A model with one layer of its own text. */
function write(store: Store, name: string, text: string) {
  const layer = store.putBytes(text, "layer").layer;
  const config = store.putBytes("{}\n", "config").layer;
  store.writeManifest(parseName(name), config, [layer]);
  return { layer, config };
}

describe("a store with several users", () => {
  test("never has a manifest that names a blob which another deletion took", () => {
    const root = newRoot();
    const [one, other] = [open(root), open(root)];
    const { layer, config } = write(one, "first", "shared text");
    // The second model is begun while its layer is there; then the only model that names it goes.
    other.delete(parseName("first"));
    expect(() => one.writeManifest(parseName("second"), config, [layer])).toThrow(StoreError);
    expect(open(root).names()).toEqual([]);
    write(one, "second", "shared text");
    expect(open(root).manifest(parseName("second"))?.manifest.layers).toEqual([layer]);
  });

  test("keeps blobs that several models name until the last of them goes", () => {
    const root = newRoot();
    const store = open(root);
    const { layer } = write(store, "first", "text");
    write(store, "second", "text");
    const path = join(root, "blobs", layer.digest.replace(":", "-"));
    store.delete(parseName("first"));
    expect(existsSync(path)).toBe(true);
    store.delete(parseName("second"));
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(join(root, "blobs"))).toEqual([]);
  });

  test("is not blocked by a process that died while it changed something", () => {
    const root = newRoot();
    const store = open(root);
    write(store, "first", "text");
    const dead = { pid: 2 ** 22 + 1, host: hostname(), token: "0" };
    writeFileSync(join(root, "blobs/store.lock"), `${JSON.stringify(dead)}\n`);
    store.delete(parseName("first"));
    expect(readdirSync(join(root, "blobs"))).toEqual([]);
  });

  test("lets readers read while somebody changes it", () => {
    const root = newRoot();
    const store = open(root);
    write(store, "first", "text");
    using lock = FileLock.take(join(root, "blobs/store.lock"));
    expect(lock).toBeDefined();
    expect(open(root).names()).toEqual([parseName("first")]);
    expect(store.manifest(parseName("first"))).toBeDefined();
  });

  test("keeps what another process is about to name, whatever goes meanwhile", () => {
    const root = newRoot();
    const [one, other] = [open(root), open(root)];
    const { layer, config } = write(one, "first", "shared text");
    {
      using lease = one.lease();
      // Found there, so not written again: from now on it has to stay.
      expect(one.putBytes("shared text", "layer").created).toBe(false);
      expect(one.layerOf(layer.digest as Digest, "layer")).toEqual(layer);
      one.touch(config.digest as Digest);
      other.delete(parseName("first"));
      expect(one.hasBlob(layer.digest as Digest)).toBe(true);
      one.writeManifest(parseName("second"), config, [layer], lease);
    }
    expect(open(root).manifest(parseName("second"))?.manifest.layers).toEqual([layer]);
    other.delete(parseName("second"));
    expect(readdirSync(join(root, "blobs"))).toEqual([]);
  });

  test("prunes neither leased blobs nor those of a manifest that came meanwhile", () => {
    const root = newRoot();
    const [one, other] = [open(root), open(root)];
    const { layer } = one.putBytes("old text", "layer");
    const path = one.blobPath(layer.digest as Digest);
    const long = new Date(Date.now() - 2 * 60 * 60 * 1000);
    using lease = one.lease();
    one.touch(layer.digest as Digest);
    // As if it had been touched long ago: only the lease speaks for it.
    utimesSync(path, long, long);
    expect(other.prune()).toEqual({ blobs: 1, removed: 0 });
    lease[Symbol.dispose]();
    expect(other.prune()).toEqual({ blobs: 1, removed: 1 });
  });

  test("does not heed the lease of a process that died", () => {
    const root = newRoot();
    const store = open(root);
    const { layer } = write(store, "first", "text");
    const dead = { pid: 2 ** 22 + 1, host: hostname(), token: "0" };
    writeFileSync(
      join(root, `blobs/lease-${"0".repeat(24)}`),
      `${JSON.stringify(dead)}\n${layer.digest}\n`,
    );
    store.delete(parseName("first"));
    expect(readdirSync(join(root, "blobs"))).toEqual([]);
  });

  test("stores no manifest of a model with holes", () => {
    const root = newRoot();
    const store = open(root);
    const missing: Digest = `sha256:${"0".repeat(64)}`;
    const bytes = new TextEncoder().encode("{}");
    expect(store.putManifestBytes(parseName("holes"), bytes, [missing])).toEqual([missing]);
    expect(open(root).names()).toEqual([]);
  });

  test("makes a model from files that its only other model loses meanwhile", async () => {
    const root = newRoot();
    const [one, other] = [open(root), open(root)];
    const digest = one.putBytes(tinyDecoder("llama"), "model").layer.digest as Digest;
    const tools: CreateTools = {
      pull: async function* () {},
      jobs: () => {
        throw new Error("no jobs");
      },
      checkTemplate() {},
      signal: new AbortController().signal,
      logger: silentLogger,
    };
    const files = { "model.gguf": digest };
    const steps = (store: Store, model: string) => createModel(store, { model, files }, tools);
    for await (const _ of steps(one, "first"));
    const making = steps(one, "second");
    for (;;) {
      const step = await making.next();
      if (step.done) break;
      // At the first line about a layer it was found in the store.
      if (step.value.status.startsWith("using existing layer") && other.names().length === 1) {
        other.delete(parseName("first"));
      }
    }
    expect(open(root).names()).toEqual([parseName("second")]);
    expect(one.hasBlob(digest)).toBe(true);
  });
});
