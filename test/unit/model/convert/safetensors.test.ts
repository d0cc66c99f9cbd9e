/** Hostile and broken safetensors files: each is refused at once, by name, whatever it claims. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConvertError } from "../../../../src/errors.ts";
import { readSafetensors, readTensors } from "../../../../src/model/convert/safetensors.ts";
import { SourceFiles } from "../../../../src/model/convert/source.ts";
import { f32, safetensorsBytes, writeFolder } from "../../../support/safetensors.ts";

const folder = mkdtempSync(join(tmpdir(), "hutch-safetensors-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(bytes: Uint8Array) {
  const path = join(folder, "model.safetensors");
  writeFileSync(path, bytes);
  return readSafetensors("model.safetensors", path);
}

function headerLength(length: bigint): Buffer {
  const bytes = safetensorsBytes({ a: f32([2, 2]) });
  bytes.writeBigUInt64LE(length);
  return bytes;
}

const sound = { a: f32([2, 2]), b: f32([3]) };

/** A file whose entry for `a` is changed. */
function withEntry(change: (entry: Record<string, unknown>) => void): Buffer {
  return safetensorsBytes(sound, (header) => change(header.a as Record<string, unknown>));
}

const cases: Record<string, readonly [bytes: Uint8Array, text: RegExp]> = {
  "an empty file": [new Uint8Array(), /unexpected EOF in the header length at byte 0/],
  "seven bytes": [new Uint8Array(7), /unexpected EOF in the header length at byte 0/],
  "a header length of 2^63": [
    headerLength(2n ** 63n),
    /header length 9223372036854775808 at byte 0/,
  ],
  "a header length of 2^64 - 1": [headerLength(2n ** 64n - 1n), /header length 184467/],
  "a header longer than the file": [headerLength(10_000n), /header length 10000 at byte 0/],
  "text that is no safetensors": [
    Buffer.from("this is not a model\n".repeat(9)),
    /not a safetensors/,
  ],
  "a header that is no JSON": [
    Buffer.concat([Buffer.of(3, 0, 0, 0, 0, 0, 0, 0), Buffer.from("{x}")]),
    /header at byte 8 is no JSON/,
  ],
  "a header that is a list": [
    Buffer.concat([Buffer.of(2, 0, 0, 0, 0, 0, 0, 0), Buffer.from("[]")]),
    /no JSON object/,
  ],
  "a header nested 100,000 deep": [
    Buffer.concat([Buffer.of(0xa0, 0x86, 1, 0, 0, 0, 0, 0), Buffer.from("[".repeat(100_000))]),
    /no JSON/,
  ],
  "an entry that is no object": [
    safetensorsBytes(sound, (header) => {
      header.a = 5;
    }),
    /tensor "a".*no JSON object/,
  ],
  "offsets past the end": [
    withEntry((entry) => {
      entry.data_offsets = [0, 1e6];
    }),
    /tensor "a".*exceeds file size/,
  ],
  "offsets that run backwards": [
    withEntry((entry) => {
      entry.data_offsets = [16, 0];
    }),
    /tensor "a".*data_offsets/,
  ],
  "negative offsets": [
    withEntry((entry) => {
      entry.data_offsets = [-16, 0];
    }),
    /tensor "a".*data_offsets must be two whole numbers/,
  ],
  "a shape whose product overflows": [
    withEntry((entry) => {
      entry.shape = [2 ** 40, 2 ** 40];
    }),
    /tensor "a".*shape/,
  ],
  "a shape that does not fit its bytes": [
    withEntry((entry) => {
      entry.shape = [2, 3];
    }),
    /tensor "a".*shape \[2,3\] needs 24 bytes, data_offsets hold 16/,
  ],
  "a negative size": [
    withEntry((entry) => {
      entry.shape = [-2, -2];
    }),
    /tensor "a".*shape/,
  ],
  "an unknown dtype": [
    withEntry((entry) => {
      entry.dtype = "F3";
    }),
    /tensor "a".*dtype "F3" is not supported/,
  ],
  "tensors that share their bytes": [
    safetensorsBytes(sound, (header) => {
      header.c = { ...(header.a as object) };
      header.d = { ...(header.a as object) };
    }),
    /overlap/,
  ],
};

describe("reading safetensors", () => {
  test("a sound file is read", () => {
    const read4 = read(safetensorsBytes(sound));
    expect(read4.map(({ name, dtype, shape, bytes }) => ({ name, dtype, shape, bytes }))).toEqual([
      { name: "a", dtype: "F32", shape: [2, 2], bytes: 16 },
      { name: "b", dtype: "F32", shape: [3], bytes: 12 },
    ]);
  });

  for (const [what, [bytes, text]] of Object.entries(cases)) {
    test(`${what} is refused`, () => {
      expect(() => read(bytes)).toThrow(ConvertError);
      expect(() => read(bytes)).toThrow(text);
    });
  }

  test("a file cut at any byte is refused, or reads as before", () => {
    const whole = safetensorsBytes(sound);
    for (let length = 0; length < whole.length; length++) {
      expect(() => read(whole.subarray(0, length))).toThrow(ConvertError);
    }
  });
});

describe("shards", () => {
  const shard = (name: string) => safetensorsBytes({ [name]: f32([2]) });

  function tensorsOf(files: Record<string, unknown>) {
    const source = new SourceFiles(writeFolder(mkdtempSync(join(folder, "shards-")), files));
    return [
      ...readTensors(
        source,
        source.names.filter((name) => name.endsWith(".safetensors")),
      ).keys(),
    ];
  }

  test("complete shards are one model", () => {
    expect(
      tensorsOf({
        "model-00001-of-00002.safetensors": shard("a"),
        "model-00002-of-00002.safetensors": shard("b"),
      }),
    ).toEqual(["a", "b"]);
  });

  test("a shard that the file names count is missed by its name", () => {
    expect(() => tensorsOf({ "model-00001-of-00002.safetensors": shard("a") })).toThrow(
      "missing shard model-00002-of-00002.safetensors",
    );
  });

  test("a shard that the index names is missed by its name", () => {
    expect(() =>
      tensorsOf({
        "first.safetensors": shard("a"),
        "model.safetensors.index.json": {
          weight_map: { a: "first.safetensors", b: "second.safetensors" },
        },
      }),
    ).toThrow("missing shard second.safetensors");
  });

  test("a tensor that the index names is missed by its name", () => {
    expect(() =>
      tensorsOf({
        "first.safetensors": shard("a"),
        "model.safetensors.index.json": { weight_map: { b: "first.safetensors" } },
      }),
    ).toThrow('tensor "b" is in model.safetensors.index.json, but in none of the files');
  });

  test("a tensor in two shards is refused", () => {
    expect(() => tensorsOf({ "a.safetensors": shard("x"), "b.safetensors": shard("x") })).toThrow(
      "duplicate tensor name 'x' was found for this model",
    );
  });
});
