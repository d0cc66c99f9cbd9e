/** Several users of one store at once: what one is about to name, another must not remove. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { StoreError } from "../../../src/errors.ts";
import { silentLogger } from "../../../src/logger.ts";
import { FileLock } from "../../../src/model/lock.ts";
import { parseName } from "../../../src/model/name.ts";
import { Store } from "../../../src/model/store.ts";

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
});
