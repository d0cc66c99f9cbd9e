/** Unpacking of embedded libraries: whole, checked, repaired, safe beside others and against them. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EmbeddedLibraries } from "../../../ffi/embedded-types.ts";
import { libraryFolder } from "../../../ffi/unpack.ts";
import { settled } from "../../../ffi/verified.ts";
import { EngineError } from "../../../src/errors.ts";

let base: string;
let cacheFolder: string;
let tempFolder: string;
let libraries: EmbeddedLibraries;
const key = "0123456789abcdef";
const contents = {
  "liba.so": Buffer.from("a".repeat(100_000)),
  "libb.so": Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251)),
};

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "hutch-unpack-"));
  cacheFolder = join(base, "cache");
  tempFolder = join(base, "temp");
  mkdirSync(tempFolder);
  libraries = { kind: "files", key, files: Object.entries(contents).map(embed) };
});

afterEach(() => {
  chmodTree(base);
  rmSync(base, { recursive: true, force: true });
});

function embed([name, data]: [string, Buffer]) {
  const path = join(base, `${name}.zst`);
  writeFileSync(path, Bun.zstdCompressSync(data));
  const sha256 = new Bun.CryptoHasher("sha256").update(data.toString("latin1"), "latin1");
  return { name, sha256: sha256.digest("hex"), bytes: data.length, path };
}

/** Makes folders writable again, so that they can be removed. */
function chmodTree(folder: string): void {
  chmodSync(folder, 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) chmodTree(join(folder, entry.name));
  }
}

const unpack = (options: { cacheFolder?: string | undefined } = { cacheFolder }): string =>
  libraryFolder({ cacheFolder: options.cacheFolder, tempFolder }, libraries);

/** Name → content of a folder, without the stamp. */
function held(folder: string): Record<string, Buffer> {
  const names = readdirSync(folder).filter((name) => name !== "verified.json");
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))]));
}

/**
 * As if a while had passed: the stamp counts, and the file system's clock, which moves in steps, has
 * left the step in which the files were written.
 */
function settle(folder: string): void {
  const ctime = (path: string) => lstatSync(path, { bigint: true }).ctimeNs;
  const probe = join(base, "probe");
  do writeFileSync(probe, "");
  while (Object.keys(contents).some((name) => ctime(probe) <= ctime(join(folder, name))));
  const later = new Date(Date.now() + 10_000);
  utimesSync(join(folder, "verified.json"), later, later);
}

const inodes = (folder: string): number[] =>
  Object.keys(contents).map((name) => statSync(join(folder, name)).ino);

describe("libraryFolder", () => {
  test("unpacks all files into a folder named by their key, readable by the user alone", () => {
    const folder = unpack();
    expect(folder).toBe(join(cacheFolder, `lib-${key}`));
    expect(held(folder)).toEqual(contents);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  test("writes nothing when everything is there", () => {
    const folder = unpack();
    const before = inodes(folder);
    expect(unpack()).toBe(folder);
    settle(folder);
    const stamp = statSync(join(folder, "verified.json")).ino;
    expect(unpack()).toBe(folder);
    expect(inodes(folder)).toEqual(before);
    expect(statSync(join(folder, "verified.json")).ino).toBe(stamp);
  });

  test.each([
    ["cut", (path: string) => truncateSync(path, 1000)],
    ["removed", (path: string) => rmSync(path)],
    [
      "changed to the same length, with its old times put back",
      (path: string) => {
        const { atime, mtime, size } = statSync(path);
        writeFileSync(path, "x".repeat(size));
        utimesSync(path, atime, mtime);
      },
    ],
    [
      "replaced by a link",
      (path: string) => {
        rmSync(path);
        symlinkSync("/bin/sh", path);
      },
    ],
  ])("puts a file right that was %s", (_, damage) => {
    const folder = unpack();
    settle(folder);
    damage(join(folder, "libb.so"));
    expect(unpack()).toBe(folder);
    expect(held(folder)).toEqual(contents);
    expect(lstatSync(join(folder, "libb.so")).isFile()).toBe(true);
  });

  test("compares hashes when the stamp is as young as the files", () => {
    const folder = unpack();
    const path = join(folder, "liba.so");
    const stamp = JSON.parse(readFileSync(join(folder, "verified.json"), "utf8"));
    writeFileSync(path, "x".repeat(contents["liba.so"].length));
    const { size, mtimeNs, ctimeNs, ino } = lstatSync(path, { bigint: true });
    stamp["liba.so"] = `${size} ${mtimeNs} ${ctimeNs} ${ino}`;
    writeFileSync(join(folder, "verified.json"), JSON.stringify(stamp));
    unpack();
    expect(held(folder)).toEqual(contents);
  });

  test.each([
    { changedNs: 7_123_456_789n, stampedNs: 7_223_456_788n, counts: false },
    { changedNs: 7_123_456_789n, stampedNs: 7_223_456_789n, counts: true },
    { changedNs: 7_000_000_000n, stampedNs: 9_000_000_000n, counts: false },
    { changedNs: 7_000_000_000n, stampedNs: 10_000_000_000n, counts: true },
  ])("a state of $changedNs counts in a stamp of $stampedNs: $counts", (row) => {
    expect(settled(row.changedNs, row.stampedNs)).toBe(row.counts);
  });

  test("does without a damaged stamp", () => {
    const folder = unpack();
    writeFileSync(join(folder, "verified.json"), "{");
    writeFileSync(join(folder, "liba.so"), "x");
    expect(held(unpack())).toEqual(contents);
  });

  test("removes temporary files of processes that died long ago, and no others", () => {
    const folder = unpack();
    const old = join(folder, ".liba.so.1-x.tmp");
    const young = join(folder, ".liba.so.2-x.tmp");
    writeFileSync(old, "");
    writeFileSync(young, "");
    utimesSync(old, new Date(0), new Date(0));
    truncateSync(join(folder, "liba.so"), 0);
    unpack();
    expect([existsSync(old), existsSync(young)]).toEqual([false, true]);
  });

  test("removes other versions that were not used for 30 days when it unpacks a new one", () => {
    const [old, young, foreign] = ["lib-1111111111111111", "lib-2222222222222222", "mine"].map(
      (name) => join(cacheFolder, name),
    ) as [string, string, string];
    for (const folder of [old, young, foreign]) mkdirSync(folder, { recursive: true });
    for (const folder of [old, foreign]) utimesSync(folder, new Date(0), new Date(0));
    unpack();
    expect([old, young, foreign].map((folder) => existsSync(folder))).toEqual([false, true, true]);
  });

  test("ten processes at once all get a whole folder", async () => {
    const children = Array.from({ length: 10 }, () =>
      Bun.spawn(
        [
          process.execPath,
          join(import.meta.dir, "unpack-child.ts"),
          cacheFolder,
          tempFolder,
          JSON.stringify(libraries),
        ],
        { stdout: "pipe", stderr: "pipe" },
      ),
    );
    const folder = join(cacheFolder, `lib-${key}`);
    const results = await Promise.all(
      children.map(async (child) => ({
        out: await child.stdout.text(),
        error: await child.stderr.text(),
        code: await child.exited,
      })),
    );
    expect(results).toEqual(
      Array.from({ length: 10 }, () => ({ out: `${folder}\n`, error: "", code: 0 })),
    );
    expect(held(folder)).toEqual(contents);
  });

  test("uses a folder of its own in the temp folder when no home is known", () => {
    const folder = unpack({ cacheFolder: undefined });
    expect(folder).toBe(join(tempFolder, `hutch-${process.getuid?.()}`, `lib-${key}`));
    expect(held(folder)).toEqual(contents);
    expect(statSync(join(folder, "..")).mode & 0o777).toBe(0o700);
  });

  test("uses the temp folder when the cache folder cannot be made", () => {
    writeFileSync(join(base, "file"), "");
    const folder = unpack({ cacheFolder: join(base, "file", "cache") });
    expect(folder.startsWith(tempFolder)).toBe(true);
    expect(held(folder)).toEqual(contents);
  });

  test("uses the temp folder when everybody may write to the cache folder", () => {
    mkdirSync(cacheFolder);
    chmodSync(cacheFolder, 0o777);
    expect(unpack().startsWith(tempFolder)).toBe(true);
  });

  test("does not follow a link that stands where its folder belongs", () => {
    const elsewhere = join(base, "elsewhere");
    mkdirSync(elsewhere);
    mkdirSync(cacheFolder);
    symlinkSync(elsewhere, join(cacheFolder, `lib-${key}`));
    expect(unpack().startsWith(tempFolder)).toBe(true);
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  test("refuses a folder in the temp folder that others may write to, and says why", () => {
    const planted = join(tempFolder, `hutch-${process.getuid?.()}`);
    mkdirSync(planted);
    chmodSync(planted, 0o777);
    expect(() => unpack({ cacheFolder: undefined })).toThrow(
      new EngineError(
        `unpack the native libraries: "${planted}" is not used: others may write to it`,
      ),
    );
  });

  test.skipIf(process.getuid?.() !== 0)("refuses a folder of another user", () => {
    const planted = join(tempFolder, "hutch-0");
    mkdirSync(planted, { mode: 0o700 });
    Bun.spawnSync(["chown", "65534", planted]);
    expect(() => unpack({ cacheFolder: undefined })).toThrow(
      new EngineError(
        `unpack the native libraries: "${planted}" is not used: it belongs to user 65534`,
      ),
    );
  });

  test("says that the executable is damaged when its own copy is", () => {
    if (libraries.kind !== "files") throw new Error("unreachable");
    const files = libraries.files.map((file) => ({ ...file, sha256: "0".repeat(64) }));
    expect(() => libraryFolder({ cacheFolder, tempFolder }, { kind: "files", key, files })).toThrow(
      new EngineError('unpack "liba.so": this executable is damaged, install it again'),
    );
  });

  test("takes the folder that the user names, or says that there is none", () => {
    expect(libraryFolder({ cacheFolder, tempFolder, libraryFolder: base }, libraries)).toBe(base);
    const missing = join(base, "missing");
    expect(() =>
      libraryFolder({ cacheFolder, tempFolder, libraryFolder: missing }, libraries),
    ).toThrow(EngineError);
    expect(existsSync(cacheFolder)).toBe(false);
  });

  test("links GPU backends that lie beside the executable, and drops links to what is gone", () => {
    const place = join(base, "place");
    mkdirSync(place);
    const executable = join(place, "hutch");
    for (const name of ["hutch", "libggml-cuda.so", "libcublas.so.13", "libother.so"]) {
      writeFileSync(join(place, name), name);
    }
    const open = () => libraryFolder({ cacheFolder, tempFolder }, libraries, executable);
    expect(readFileSync(join(open(), "libggml-cuda.so"), "utf8")).toBe("libggml-cuda.so");
    expect(readdirSync(open())).not.toContain("libother.so");
    expect(readFileSync(join(open(), "libcublas.so.13"), "utf8")).toBe("libcublas.so.13");
    rmSync(join(place, "libggml-cuda.so"));
    rmSync(join(place, "libcublas.so.13"));
    expect(held(open())).toEqual(contents);
    // Others could have put it there.
    writeFileSync(join(place, "libggml-vulkan.so"), "");
    chmodSync(join(place, "libggml-vulkan.so"), 0o666);
    expect(held(open())).toEqual(contents);
  });

  test("says that an executable was made without libraries", () => {
    const none: EmbeddedLibraries = { kind: "none", platform: "linux-arm64" };
    expect(() => libraryFolder({ cacheFolder, tempFolder }, none)).toThrow(
      "this hutch for linux-arm64 was made without them",
    );
  });

  test("in the source tree it is dist/lib, which has to be built first", () => {
    const folder = join(base, "dist", "lib");
    const source: EmbeddedLibraries = { kind: "folder", folder };
    expect(() => libraryFolder({ cacheFolder, tempFolder }, source)).toThrow("npm run build");
    mkdirSync(folder, { recursive: true });
    expect(libraryFolder({ cacheFolder, tempFolder }, source)).toBe(folder);
  });
});
