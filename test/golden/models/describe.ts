/** Describes a GGUF in the form of the recorded results: keys with hashes of arrays, tensors with hashes. */
import { closeSync, openSync, readSync } from "node:fs";
import { readGguf } from "../../../src/model/gguf/reader.ts";

export interface Description {
  readonly kv: readonly (readonly [key: string, type: string, value: unknown])[];
  readonly tensors: readonly (readonly [
    name: string,
    type: string,
    shape: readonly number[],
    sha256: string,
  ])[];
}

const shortTypes: Readonly<Record<string, string>> = {
  uint8: "u8",
  int8: "i8",
  uint16: "u16",
  int16: "i16",
  uint32: "u32",
  int32: "i32",
  uint64: "u64",
  int64: "i64",
  float32: "f32",
  float64: "f64",
};

function hashOf(path: string, from: number, to: number): string {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(to - from);
    readSync(file, bytes, 0, bytes.length, from);
    return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  } finally {
    closeSync(file);
  }
}

export function describeGguf(path: string): Description {
  const head = readGguf(path);
  const kv = [...head.metadata].map(([key, value]) => {
    if (value.type === "array") {
      const { type, length, offset } = value.value;
      const sha256 = hashOf(path, offset, value.end);
      return [key, "array", { array: shortTypes[type] ?? type, length, sha256 }] as const;
    }
    const rounded =
      value.type === "float32" ? Number(Number(value.value).toPrecision(9)) : value.value;
    return [key, shortTypes[value.type] ?? value.type, rounded] as const;
  });
  const tensors = head.tensors.map(({ name, type, shape, offset, bytes }) => {
    const start = head.dataOffset + offset;
    return [name, type.name, shape, hashOf(path, start, start + bytes)] as const;
  });
  return { kv, tensors };
}
