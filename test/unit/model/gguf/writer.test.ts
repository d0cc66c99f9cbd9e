import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GgufError } from "../../../../src/errors.ts";
import { mergeShards } from "../../../../src/model/gguf/merge.ts";
import { readArray, readGguf } from "../../../../src/model/gguf/reader.ts";
import { type GgufPlan, writeGguf } from "../../../../src/model/gguf/writer.ts";

const folder = mkdtempSync(join(tmpdir(), "hutch-writer-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

function written(plan: GgufPlan): string {
  const parts: Uint8Array[] = [];
  writeGguf({ write: (bytes) => void parts.push(bytes.slice()) }, plan);
  const path = join(folder, `${crypto.randomUUID()}.gguf`);
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

describe("writing a GGUF", () => {
  test("what is written is read back, whatever its type", () => {
    const path = written({
      metadata: [
        ["general.architecture", { type: "string", value: "tëst" }],
        ["a.u8", { type: "uint8", value: 255 }],
        ["a.i16", { type: "int16", value: -2 }],
        ["a.u64", { type: "uint64", value: 2n ** 63n }],
        ["a.i64", { type: "int64", value: -5 }],
        ["a.f64", { type: "float64", value: 0.1 }],
        ["a.bool", { type: "bool", value: true }],
        ["a.texts", { type: "array", of: "string", values: ["", "ä", Uint8Array.of(255)] }],
        ["a.floats", { type: "array", of: "float32", values: [0.5, -1] }],
      ],
      tensors: [
        { name: "one", type: 0, shape: [3], data: () => [new Uint8Array(12).fill(1)] },
        {
          name: "two",
          type: 8,
          shape: [32, 2],
          *data() {
            for (let i = 0; i < 34; i++) yield Uint8Array.of(i, i + 100);
          },
        },
      ],
    });
    const head = readGguf(path);
    const plain = Object.fromEntries(
      [...head.metadata].map(([key, value]) => [
        key,
        value.type === "array" ? readArray(path, value.value) : value.value,
      ]),
    );
    expect(plain).toEqual({
      "general.architecture": "tëst",
      "a.u8": 255,
      "a.i16": -2,
      "a.u64": 2n ** 63n,
      "a.i64": -5,
      "a.f64": 0.1,
      "a.bool": true,
      "a.texts": ["", "ä", "\ufffd"],
      "a.floats": [0.5, -1],
    });
    expect(head.tensors.map(({ name, shape, offset }) => ({ name, shape, offset }))).toEqual([
      { name: "one", shape: [3], offset: 0 },
      { name: "two", shape: [32, 2], offset: 32 },
    ]);
    expect(head.fileBytes).toBe(head.dataOffset + 32 + 96);
  });

  test("a source that gives too few or too many bytes is an error that names the tensor", () => {
    for (const bytes of [8, 16]) {
      const plan: GgufPlan = {
        metadata: [],
        tensors: [{ name: "short", type: 0, shape: [3], data: () => [new Uint8Array(bytes)] }],
      };
      expect(() => written(plan)).toThrow(GgufError);
      expect(() => written(plan)).toThrow(`"short": ${bytes} bytes came, 12 were announced`);
    }
  });

  test("rows that are no whole blocks of the type are refused", () => {
    const plan: GgufPlan = {
      metadata: [],
      tensors: [{ name: "odd", type: 8, shape: [33], data: () => [] }],
    };
    expect(() => written(plan)).toThrow('tensor "odd": type 8 cannot hold [33]');
  });
});

test("merging keeps values that are larger than what is read at once", () => {
  // Differs every 8 bytes, so that a piece in another's place would show.
  const values = Float32Array.from({ length: 3 * 2 ** 20 }, (_, i) => i);
  const path = written({
    metadata: [
      ["general.architecture", { type: "string", value: "llama" }],
      ["a.numbers", { type: "array", of: "float32", values }],
      ["split.no", { type: "uint16", value: 0 }],
    ],
    tensors: [{ name: "one", type: 0, shape: [3], data: () => [new Uint8Array(12).fill(1)] }],
  });
  const parts: Uint8Array[] = [];
  mergeShards([path], { write: (bytes) => void parts.push(new Uint8Array(bytes)) });
  const merged = join(folder, "merged.gguf");
  writeFileSync(merged, Buffer.concat(parts));
  const head = readGguf(merged);
  const found = head.metadata.get("a.numbers");
  if (found?.type !== "array") throw new Error("no array");
  expect(readArray(merged, found.value).every((value, i) => value === i)).toBe(true);
  expect([...head.metadata.keys()]).toEqual(["general.architecture", "a.numbers"]);
});
