/** Export and import of models as archives, and verifying a store, on stores of their own. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { packTar, type TarEntry, unpackTar } from "modern-tar";
import { exportModel } from "../../src/model/archive/export.ts";
import { importModels } from "../../src/model/archive/import.ts";
import { parseDigest } from "../../src/model/digest.ts";
import { displayName, parseName } from "../../src/model/name.ts";
import type { Store } from "../../src/model/store.ts";
import { planVerification, verifyBlob } from "../../src/model/verify.ts";
import { type Application, openApplication } from "../support/application.ts";
import { sha256 } from "../support/fake-registry.ts";

let source: Application;
let target: Application;
let file: string;
beforeEach(async () => {
  source = openApplication();
  target = openApplication();
  file = join(source.home, "m.tar");
  await source.create("team/m", { system: "Be brief." });
});
afterEach(async () => {
  await source[Symbol.asyncDispose]();
  await target[Symbol.asyncDispose]();
});

const ignore = () => {};
const exported = (name = "team/m") =>
  exportModel(source.store, parseName(name), { folder: source.home, path: file }, ignore);
const imported = async (as?: string) =>
  (
    await importModels(target.store, file, as === undefined ? undefined : parseName(as), ignore)
  ).map(displayName);
const blobs = (store: Store) => {
  mkdirSync(join(store.root, "blobs"), { recursive: true });
  return readdirSync(join(store.root, "blobs")).toSorted();
};

describe("an archive", () => {
  test("brings a model to another store, bit for bit", async () => {
    await exported();
    expect(await imported()).toEqual(["team/m:latest"]);
    const digests = ({ store }: Application) => store.manifests().map(({ digest }) => digest);
    expect(digests(target)).toEqual(digests(source));
    expect(blobs(target.store)).toEqual(blobs(source.store));
    expect(await imported("other")).toEqual(["other:latest"]);
  });

  test("is an OCI image layout, and the same whenever it is made", async () => {
    await exported();
    const first = readFileSync(file);
    await exported();
    expect(readFileSync(file).equals(first)).toBe(true);
    const entries = await unpackTar(first);
    expect(entries.slice(0, 2).map(({ header }) => header.name)).toEqual([
      "oci-layout",
      "index.json",
    ]);
    const index = JSON.parse(new TextDecoder().decode(entries[1]?.data));
    expect(index.manifests[0].annotations).toEqual({
      "org.opencontainers.image.ref.name": "registry.ollama.ai/team/m:latest",
    });
    expect(statSync(file).mode & 0o777).toBe(0o644);
  });

  test("of a damaged model is not made", async () => {
    const [blob = ""] = blobs(source.store);
    const path = join(source.store.root, "blobs", blob);
    const bytes = readFileSync(path);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    await expect(exported()).rejects.toThrow("is damaged, its content is sha256:");
    await exported().catch(ignore);
    expect(readdirSync(source.home)).toEqual([".ollama"]);
  });
});

describe("archives from strangers", () => {
  const text = (content: string) => new TextEncoder().encode(content);
  const entry = (name: string, body: Uint8Array, more: object = {}): TarEntry => ({
    header: { name, size: body.length, ...more },
    body,
  });
  const layout = entry("oci-layout", text('{"imageLayoutVersion":"1.0.0"}'));
  const blobEntry = (body: Uint8Array) => entry(`blobs/sha256/${sha256(body).slice(7)}`, body);
  const content = text("hello");
  const layer = { mediaType: "x", digest: sha256(content), size: content.length };
  const manifest = text(JSON.stringify({ schemaVersion: 2, layers: [layer] }));
  const named = (digest: string, name = "h/n/m:t") => ({
    digest,
    size: 1,
    annotations: { "org.opencontainers.image.ref.name": name },
  });
  const index = (...manifests: object[]) =>
    entry("index.json", text(JSON.stringify({ schemaVersion: 2, manifests })));
  const good = [layout, index(named(sha256(manifest))), blobEntry(manifest), blobEntry(content)];
  const write = async (entries: TarEntry[]) => writeFileSync(file, await packTar(entries));

  test("in any order are read, with folders and what docker adds", async () => {
    const folder = { header: { name: "blobs/", size: 0, type: "directory" as const } };
    await write([folder, ...good.toReversed(), entry("manifest.json", text("[]"))]);
    expect(await imported()).toEqual(["h/n/m:t"]);
    expect(blobs(target.store)).toEqual([sha256(content).replace(":", "-")]);
  });

  test("without a name in them need one", async () => {
    await write([layout, index(named(sha256(manifest), "latest")), ...good.slice(2)]);
    await expect(imported()).rejects.toThrow("does not say what the model is called");
    expect(await imported("mine")).toEqual(["mine:latest"]);
  });

  const link = { header: { name: "blobs/x", size: 0, type: "symlink" as const, linkname: "/etc" } };
  const wrongBlob = entry(`blobs/sha256/${sha256(content).slice(7)}`, text("hellO"));
  const bigger = text(JSON.stringify({ layers: [{ ...layer, size: 6 }] }));
  const traversal = text(JSON.stringify({ layers: [{ ...layer, digest: "sha256:../../x" }] }));
  test.each<[string, TarEntry[], string]>([
    ["a path that leads out", [...good, entry("../../x", content)], 'a file "../../x"'],
    ["an absolute path", [...good, entry("/etc/x", content)], "which no layout has"],
    ["a link", [...good, link], 'a symlink "blobs/x"'],
    ["another content than promised", [...good.slice(0, 3), wrongBlob], "digest mismatch"],
    ["a missing blob", good.slice(0, 3), "the archive lacks the blob"],
    ["a missing manifest", [layout, good[1] as TarEntry], "the archive has no manifest"],
    ["no index", [layout], "the archive has no index.json"],
    ["no layout", good.slice(1), "it is no OCI layout"],
    [
      "a name that is a path",
      [layout, index(named(sha256(manifest), "../../x/y:z")), ...good.slice(2)],
      "does not say what the model is called",
    ],
    [
      "a false size",
      [layout, index(named(sha256(bigger))), blobEntry(bigger), blobEntry(content)],
      "has 5 bytes, the manifest says 6",
    ],
    [
      "a digest that is a path",
      [layout, index(named(sha256(traversal))), blobEntry(traversal)],
      "invalid digest format",
    ],
    [
      "a huge index",
      [layout, entry("index.json", new Uint8Array(5 * 2 ** 20))],
      "index.json is larger than",
    ],
  ])("with %s are refused, and nothing stays", async (_, entries, message) => {
    await write(entries);
    await expect(imported()).rejects.toThrow(message);
    await imported().catch(ignore);
    expect([target.store.names(), blobs(target.store)]).toEqual([[], []]);
  });

  test("that are cut off, packed or no archive at all are refused", async () => {
    await write(good);
    const whole = statSync(file).size;
    truncateSync(file, whole - 1600);
    await expect(imported()).rejects.toThrow();
    writeFileSync(file, Bun.gzipSync(new Uint8Array(100)));
    await expect(imported()).rejects.toThrow("decompress it first");
    writeFileSync(file, "x".repeat(2000));
    await expect(imported()).rejects.toThrow();
    await imported().catch(ignore);
    expect([target.store.names(), blobs(target.store)]).toEqual([[], []]);
  });

  test("whose header promises gigabytes cost nothing", async () => {
    await write([{ header: { name: "blobs/sha256/".padEnd(77, "a"), size: 0 } }]);
    const bytes = readFileSync(file);
    // Size field: 8 GiB in octal, with the header's checksum made right again.
    bytes.write("77777777777", 124, "latin1");
    bytes.fill(32, 148, 156);
    const sum = bytes.subarray(0, 512).reduce((a, b) => a + b, 0);
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    writeFileSync(file, bytes);
    await expect(imported()).rejects.toThrow();
    await imported().catch(ignore);
    expect(blobs(target.store)).toEqual([]);
  });
});

describe("verifying", () => {
  const verdicts = async (only?: string) => {
    const plan = planVerification(source.store, only === undefined ? undefined : parseName(only));
    const all = await Promise.all(
      [...plan.blobs].map(([digest, names]) => verifyBlob(source.store, digest, names, ignore)),
    );
    return { models: plan.models, unreadable: plan.unreadable.length, all };
  };

  test("finds every blob of a fresh store sound", async () => {
    const { models, all } = await verdicts();
    expect([models, all.length]).toEqual([1, 3]);
    expect(all.filter(({ state }) => state !== "sound")).toEqual([]);
  });

  test("tells what is damaged, missing or unreadable, and for which models", async () => {
    await source.send("POST", "/api/copy", { source: "team/m", destination: "copy" });
    const [first = "", second = ""] = blobs(source.store);
    const folder = join(source.store.root, "blobs");
    writeFileSync(join(folder, first), "other");
    await Bun.file(join(folder, second)).delete();
    mkdirSync(join(source.store.root, "manifests/h/n/m"), { recursive: true });
    writeFileSync(join(source.store.root, "manifests/h/n/m/t"), "{");
    const { unreadable, all } = await verdicts();
    const told = all
      .filter(({ state }) => state !== "sound")
      .map(({ digest, models, state, reason }) => [digest, models.length, state, reason]);
    expect(told.toSorted()).toEqual(
      [
        [parseDigest(first), 2, "damaged", `its content is ${sha256("other")}`],
        [parseDigest(second), 2, "missing", "it is not there"],
      ].toSorted(),
    );
    expect(unreadable).toBe(1);
  });
});
