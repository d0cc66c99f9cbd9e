import { afterAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../../src/logger.ts";
import { listModels } from "../../../src/model/list.ts";
import { parseName } from "../../../src/model/name.ts";
import { RowCache } from "../../../src/model/row-cache.ts";
import { Store } from "../../../src/model/store.ts";
import { ggufBytes } from "../../support/gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "hutch-list-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const media = "application/vnd.ollama.image.model";

function storeWith(names: readonly string[]): Store {
  const root = mkdtempSync(join(folder, "store-"));
  const store = new Store(root, { noPrune: true, logger: silentLogger });
  for (const [i, name] of names.entries()) {
    const gguf = store.putBytes(ggufBytes({ metadata: { "general.name": name } }), media).layer;
    const config = store.putBytes(`{"model_format":"gguf","model_type":"${i}"}\n`, "config").layer;
    store.writeManifest(parseName(name), config, [gguf]);
  }
  return store;
}

function list(store: Store, cache?: RowCache): string[] {
  return listModels(store, undefined, silentLogger, cache)
    .map(({ name, details }) => `${name} ${details.parameter_size} ${details.context_length}`)
    .sort();
}

/** Lets a file or folder look as if nobody had touched it lately. */
function age(path: string): void {
  const then = new Date(Date.now() - 60_000);
  utimesSync(path, then, then);
}

describe("listing models", () => {
  test("what is listed follows the store, whoever changes it", () => {
    const store = storeWith(["one", "two"]);
    const folderOfModels = join(store.root, "manifests/registry.ollama.ai/library");
    for (const path of ["", "one", "one/latest", "two", "two/latest"])
      age(join(folderOfModels, path));
    expect(list(store)).toEqual(["one:latest 0 2048", "two:latest 1 2048"]);
    // Another program: a copy of a manifest under a new name, one that goes, one that changes.
    const bytes = readFileSync(join(folderOfModels, "one/latest"));
    const other = new Store(store.root, { noPrune: true, logger: silentLogger });
    other.copy(parseName("one"), parseName("three:x"));
    rmSync(join(folderOfModels, "one"), { recursive: true });
    writeFileSync(join(folderOfModels, "two/latest"), bytes);
    expect(list(store)).toEqual(["three:x 0 2048", "two:latest 0 2048"]);
  });

  test("rows are kept on disk, and used by a server that has just started", () => {
    const path = join(folder, "rows.json");
    const store = storeWith(["one"]);
    const first = list(store, new RowCache(path));
    expect(existsSync(path)).toBe(true);
    const cache = new RowCache(path);
    const [row] = listModels(store, undefined, silentLogger, cache);
    expect(cache.get(`${store.root} ${row?.digest} auto`)).toMatchObject({ size: row?.size });
    expect(list(store, new RowCache(path))).toEqual(first);
  });

  test("a damaged file of rows is forgotten and written anew", () => {
    const path = join(folder, "damaged.json");
    const store = storeWith(["one"]);
    const rows = list(store, new RowCache(path));
    for (const damage of ["x", "", "sha256:0\n{}", `${"[".repeat(1000)}`]) {
      writeFileSync(path, damage);
      expect(list(store, new RowCache(path))).toEqual(rows);
      expect(readFileSync(path, "utf8")).toContain('"context_length":2048');
    }
    appendFileSync(path, " ");
    expect(list(store, new RowCache(path))).toEqual(rows);
  });

  test("a model whose weights are gone is not listed, whatever is remembered", () => {
    const path = join(folder, "gone.json");
    const store = storeWith(["one", "two"]);
    const cache = new RowCache(path);
    const [model] = listModels(store, undefined, silentLogger, cache);
    const layer = store.manifest(parseName(model?.name ?? ""))?.manifest.layers[0];
    rmSync(join(store.root, "blobs", layer?.digest.replace(":", "-") ?? ""));
    expect(list(store, cache)).toHaveLength(1);
    expect(list(store, new RowCache(path))).toHaveLength(1);
  });
});
