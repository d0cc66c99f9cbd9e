/** Hashes of what arrives: which hasher takes it, what is saved, and when that counts. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf } from "../../../src/model/digest.ts";
import { ArrivalHash } from "../../../src/model/hash/arrival.ts";
import { isOverloaded, nextLoad } from "../../../src/model/hash/load.ts";
import { HashNote } from "../../../src/model/hash/note.ts";
import { FrontHasher } from "../../../src/model/registry/front.ts";
import { PartialBlob, removePartial } from "../../../src/model/registry/partial.ts";

const folder = mkdtempSync(join(tmpdir(), "hutch-hash-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const freshPath = () => join(folder, `blob${files++}`);

/** What a blob's files have behind its name. */
const filesOf = (path: string) =>
  readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((name) => name === path || name.startsWith(`${path}-`))
    .map((name) => name.slice(path.length));

const bytes = new Uint8Array(300_000).map((_, i) => (i * 31) % 251);
const digest = digestOf(bytes);
/** Time stands still: hashing costs nothing. */
const still = () => 0;
/** A clock that moves so many milliseconds whenever it is looked at. */
function ticking(step: number): () => number {
  let now = 0;
  return () => {
    now += step;
    return now;
  };
}

describe("the load of a hasher", () => {
  const after = (times: number, busy: number, elapsed: number) =>
    Array.from({ length: times }).reduce<number>((load) => nextLoad(load, busy, elapsed), 0);

  test("stays nothing at a third of the time or less, for however long", () => {
    expect([after(10_000, 10, 30), after(10_000, 1, 100)]).toEqual([0, 0]);
  });
  test("is too much soon when hashing takes all of the time", () => {
    expect(isOverloaded(after(11, 10, 10))).toBe(false);
    expect(isOverloaded(after(13, 10, 10))).toBe(true);
  });
  test("forgives a burst once there was a pause", () => {
    const burst = after(10, 10, 10);
    expect(isOverloaded(burst)).toBe(false);
    expect(nextLoad(burst, 0, 300)).toBe(0);
  });
});

describe("a hash of what arrives", () => {
  test("is saved and gone on from at any byte", async () => {
    for (const cut of [0, 1, 63, 64, 65, 100_001, bytes.length]) {
      const first = await ArrivalHash.begin(0, undefined, still);
      first.update([bytes.subarray(0, cut)]);
      const second = await ArrivalHash.begin(cut, first.save(), still);
      expect([second.resumed, second.position]).toEqual([true, cut]);
      second.update([bytes.subarray(cut)]);
      expect(second.digest()).toBe(digest);
      expect(second.save()).toBeUndefined();
    }
  });

  test("begins again with the fast hasher, for good, when it does not keep up", async () => {
    const hash = await ArrivalHash.begin(0, undefined, ticking(50));
    hash.update([bytes.subarray(0, 10), bytes.subarray(10, 20)]);
    expect(hash.position).toBe(20);
    for (let i = 0; i < 20 && hash.position > 0; i++) hash.update([bytes.subarray(20, 30)]);
    expect([hash.position, hash.save()]).toEqual([0, undefined]);
    hash.update([bytes.subarray(0, 10), bytes.subarray(10)]);
    expect([hash.position, hash.digest()]).toEqual([bytes.length, digest]);
  });

  test("ignores what other code has saved, or what is about more than there is", async () => {
    const first = await ArrivalHash.begin(0, undefined, still);
    first.update([bytes.subarray(0, 1000)]);
    const saved = first.save();
    if (saved === undefined) throw new Error("nothing was saved");
    const state = Buffer.from(saved.state, "base64");
    state[0] = (state[0] ?? 0) ^ 1; // the mark of the version
    for (const [there, wrong] of [
      [1000, { ...saved, state: state.toString("base64") }],
      [1000, { ...saved, state: "" }],
      [999, saved],
    ] as const) {
      const hash = await ArrivalHash.begin(there, wrong, still);
      expect([hash.resumed, hash.position, hash.save()]).toEqual([false, 0, undefined]);
      hash.update([bytes]);
      expect(hash.digest()).toBe(digest);
    }
  });
});

describe("a noted state", () => {
  const state = { position: 10, state: "abcd" };

  test("is read with the one before it, newest first", () => {
    const path = freshPath();
    const note = new HashNote(path, 100, "boot");
    for (const front of [10, 20, 30]) note.write(front, { ...state, position: front });
    const read = new HashNote(path, 100, "boot").read();
    expect(read).toEqual([
      { front: 30, position: 30, state: "abcd" },
      { front: 20, position: 20, state: "abcd" },
    ]);
  });

  test.each<[string, number, string, (text: string) => string]>([
    ["of a blob of another size", 101, "boot", (text) => text],
    ["of an earlier run of the system", 100, "other", (text) => text],
    ["that was damaged", 100, "boot", (text) => text.replace("abcd", "abce")],
    ["that was cut", 100, "boot", (text) => text.slice(0, 20)],
    ["of another form", 100, "boot", () => "[]"],
  ])("%s does not count", (_, total, boot, change) => {
    const path = freshPath();
    new HashNote(path, 100, "boot").write(10, state);
    expect(new HashNote(path, 100, "boot").read()).toEqual([{ front: 10, ...state }]);
    writeFileSync(path, change(readFileSync(path, "utf8")));
    expect(new HashNote(path, total, boot).read()).toEqual([]);
  });

  test("is removed when there is none any more", () => {
    const path = freshPath();
    const note = new HashNote(path, 100, "boot");
    note.write(10, state);
    note.write(20, undefined);
    expect(note.read()).toEqual([]);
  });
});

describe("a download that is taken up", () => {
  /** Counts the bytes that are read back from a partial blob. */
  async function takeUp(path: string, partial: PartialBlob, clock = still) {
    let read = 0;
    const file = {
      get front() {
        return partial.front;
      },
      read: async (buffer: Uint8Array, offset: number) => {
        const got = await partial.read(buffer, offset);
        read += got;
        return got;
      },
    };
    const hash = await ArrivalHash.begin(partial.front, partial.savedHash, clock);
    const hasher = new FrontHasher(file, hash);
    partial.hashState = () => hasher.save();
    const add = async (start: number, end: number) => {
      await partial.write([bytes.subarray(start, end)], start);
      hasher.take([bytes.subarray(start, end)], start);
    };
    return { path, add, digest: () => hasher.digest(bytes.length), read: () => read };
  }

  /** A download of which 200000 bytes came, and its files as a killed process leaves them. */
  async function begun(): Promise<string> {
    const path = freshPath();
    const partial = await PartialBlob.open(path, bytes.length);
    const { add } = await takeUp(path, partial);
    await add(100_000, 200_000);
    await add(0, 100_000);
    await partial.pause();
    return path;
  }

  test("reads nothing that was hashed before", async () => {
    const path = await begun();
    const partial = await PartialBlob.open(path, bytes.length);
    const again = await takeUp(path, partial);
    await again.add(200_000, bytes.length);
    expect([await again.digest(), again.read()]).toEqual([digest, 0]);
    await partial.finish();
    expect(filesOf(path)).toEqual([""]);
  });

  test("reads all of it once where no state was saved", async () => {
    const path = await begun();
    rmSync(`${path}-hash`);
    const partial = await PartialBlob.open(path, bytes.length);
    const again = await takeUp(path, partial);
    await again.add(200_000, bytes.length);
    expect([await again.digest(), again.read()]).toEqual([digest, bytes.length]);
    await partial.pause();
  });

  test("reads what came too fast again, and saves no state from then on", async () => {
    const path = await begun();
    const partial = await PartialBlob.open(path, bytes.length);
    const again = await takeUp(path, partial, ticking(500));
    await again.add(200_000, bytes.length);
    expect([await again.digest(), again.read()]).toEqual([digest, bytes.length]);
    await partial.pause();
    const third = await PartialBlob.open(path, bytes.length);
    expect(third.savedHash).toBeUndefined();
    await third.pause();
  });

  test("finds the state although the process was killed between the two files", async () => {
    const path = await begun();
    const notes = readFileSync(`${path}-partial-0`);
    const partial = await PartialBlob.open(path, bytes.length);
    const again = await takeUp(path, partial);
    await again.add(200_000, 250_000);
    await partial.pause();
    writeFileSync(`${path}-partial-0`, notes);
    const third = await PartialBlob.open(path, bytes.length);
    expect(third.savedHash).toMatchObject({ front: 200_000, position: 200_000 });
    await third.pause();
  });

  test("does not believe a state after another program went on, and leaves no file behind", async () => {
    const path = await begun();
    const part = { N: 0, Offset: 0, Size: bytes.length, Completed: 210_000 };
    writeFileSync(`${path}-partial-0`, `${JSON.stringify(part)}\n`);
    const partial = await PartialBlob.open(path, bytes.length);
    expect([partial.front, partial.savedHash]).toEqual([210_000, undefined]);
    await partial.pause();
    removePartial(path);
    expect(filesOf(path)).toEqual([]);
  });
});
