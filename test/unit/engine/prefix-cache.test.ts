/** Evaluated prompts on disk: found again, bounded, ignored when damaged. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PrefixCache } from "../../../src/engine/runner/prefix-cache.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hutch-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (key = "model", limitBytes = 1_000_000) =>
  new PrefixCache({ folder, limitBytes, key });
const numbers = (from: number, count: number) =>
  Int32Array.from({ length: count }, (_, i) => from + i);
const bytes = (fill: number, count = 100) => new Uint8Array(count).fill(fill);
const files = (key = "model") =>
  readdirSync(join(folder, key)).map((name) => join(folder, key, name));

describe("a prefix cache", () => {
  test("gives back what was saved, to another process too, for the longest common beginning", async () => {
    const first = open();
    await first.save(numbers(0, 100), bytes(1));
    await first.save(Int32Array.of(...numbers(0, 50), ...numbers(900, 80)), bytes(2));
    for (const cache of [first, open()]) {
      const found = cache.find([...numbers(0, 50), ...numbers(900, 20)], 10, false);
      expect([found?.common, found?.tokens.length, found?.bytes()]).toEqual([70, 130, bytes(2)]);
      expect(cache.covered([...numbers(0, 100), 7])).toBe(100);
    }
  });

  test("finds nothing for another model, a short beginning, or a tail that cannot be dropped", async () => {
    await open().save(numbers(0, 100), bytes(1));
    expect(open("other").find(numbers(0, 100), 10, false)).toBeUndefined();
    expect(open().find(numbers(0, 30), 31, false)).toBeUndefined();
    expect(open().find(numbers(0, 30), 10, true)).toBeUndefined();
    expect(open().find(numbers(0, 120), 10, true)?.common).toBe(100);
  });

  test("a conversation that grows replaces its earlier entry", async () => {
    const cache = open();
    await cache.save(numbers(0, 100), bytes(1));
    await cache.save(numbers(0, 150), bytes(2));
    expect(files()).toHaveLength(1);
    expect(cache.find(numbers(0, 200), 10, false)?.bytes()).toEqual(bytes(2));
  });

  test("ignores and removes damaged files", async () => {
    await open().save(numbers(0, 100), bytes(1));
    const [path = ""] = files();
    const whole = await Bun.file(path).bytes();
    whole[whole.length - 1] = 9;
    await Bun.write(path, whole);
    const cache = open();
    expect(cache.find(numbers(0, 100), 10, false)?.bytes()).toBeUndefined();
    expect(cache.find(numbers(0, 100), 10, false)).toBeUndefined();
    await Bun.write(path, whole.slice(0, 20));
    expect(open().find(numbers(0, 100), 10, false)).toBeUndefined();
    expect(files()).toEqual([]);
  });

  test("drops the least recently used beyond its bound, across models", async () => {
    const cache = open("model", 2500);
    await open("other", 2500).save(numbers(0, 10), bytes(1, 1000));
    utimesSync(files("other")[0] ?? "", 1000, Date.now() / 1000 - 60);
    await cache.save(numbers(100, 10), bytes(2, 1000));
    await cache.save(numbers(200, 10), bytes(3, 1000));
    expect([files("other").length, files().length]).toEqual([0, 2]);
    await cache.save(numbers(300, 10), bytes(3, 2000)); // more than half the bound
    expect(files()).toHaveLength(2);
  });

  test("holds its bound while an entry is written, too", async () => {
    const limit = 25_000_000;
    const cache = open("model", limit);
    for (const n of [1, 2]) await cache.save(numbers(100 * n, 10), bytes(n, 12_000_000));
    const held = () =>
      files().reduce(
        (sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0),
        0,
      );
    expect(held()).toBeGreaterThan(limit * 0.9);
    let most = 0;
    let writing = true;
    const saved = cache.save(numbers(300, 10), bytes(3, 12_000_000)).finally(() => {
      writing = false;
    });
    while (writing) {
      most = Math.max(most, held());
      await new Promise(setImmediate);
    }
    await saved;
    expect([files().length, most <= limit]).toEqual([2, true]);
  });

  test("entries are readable by their owner alone", async () => {
    await open().save(numbers(0, 100), bytes(1));
    expect(statSync(files()[0] ?? "").mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "model")).mode & 0o777).toBe(0o700);
  });

  test("goes past what is no file, and what it cannot remove", async () => {
    await open().save(numbers(0, 100), bytes(1));
    const [path = ""] = files();
    mkdirSync(join(folder, "model", "folder.kv", "inside"), { recursive: true });
    symlinkSync("/dev/zero", join(folder, "model", "endless.kv"));
    const cache = open();
    expect(cache.find(numbers(0, 100), 10, false)?.bytes()).toEqual(bytes(1));
    rmSync(path);
    mkdirSync(join(path, "inside"), { recursive: true });
    expect(cache.find(numbers(0, 100), 10, false)?.bytes()).toBeUndefined();
    expect(cache.find(numbers(0, 100), 10, false)).toBeUndefined();
    await cache.save(numbers(0, 100), bytes(2));
    expect(cache.find(numbers(0, 100), 10, false)?.bytes()).toEqual(bytes(2));
  });

  test("leaves out what cannot be written, without an error", async () => {
    const cache = new PrefixCache({ folder: "/proc/nowhere", limitBytes: 1e6, key: "model" });
    await cache.save(numbers(0, 100), bytes(1));
    expect(cache.find(numbers(0, 100), 10, false)).toBeUndefined();
  });
});
