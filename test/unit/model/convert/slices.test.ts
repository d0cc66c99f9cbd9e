/** Cutting tensors apart, and the four-bit blocks of gpt-oss. */
import { describe, expect, test } from "bun:test";
import { packedMxfp4 } from "../../../../src/model/convert/mxfp4.ts";
import {
  chosen,
  padded,
  sliced,
  splitAt,
  splitEvenly,
} from "../../../../src/model/convert/slices.ts";
import { allBytes, transposed, type Weights } from "../../../../src/model/convert/weights.ts";

/** Bytes that count up, in pieces of odd sizes. */
function counting(shape: readonly number[], dtype: "U8" | "I16" = "U8"): Weights {
  const count = shape.reduce((product, size) => product * size, 1);
  const bytes =
    dtype === "U8"
      ? Uint8Array.from({ length: count }, (_, i) => i)
      : new Uint8Array(Int16Array.from({ length: count }, (_, i) => i).buffer);
  return {
    name: "w",
    dtype,
    shape,
    *pieces() {
      const size = dtype === "U8" ? 5 : 6;
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    },
  };
}

const values = (weights: Weights) => {
  const bytes = allBytes(weights);
  return weights.dtype === "U8" ? [...bytes] : [...new Int16Array(new Uint8Array(bytes).buffer)];
};

describe("slices", () => {
  test("take rows, every second row, and columns, of any dimension", () => {
    const rows = sliced(counting([4, 3]), { axis: 0, from: 1, count: 2 });
    expect([rows.shape, values(rows)]).toEqual([
      [2, 3],
      [3, 4, 5, 6, 7, 8],
    ]);
    const odd = sliced(counting([2, 4, 2]), { axis: 1, from: 1, step: 2, count: 2 });
    expect([odd.shape, values(odd)]).toEqual([
      [2, 2, 2],
      [2, 3, 6, 7, 10, 11, 14, 15],
    ]);
    const columns = sliced(counting([3, 4], "I16"), { axis: -1, from: 2, count: 2 });
    expect([columns.shape, values(columns)]).toEqual([
      [3, 2],
      [2, 3, 6, 7, 10, 11],
    ]);
  });

  test("split a dimension into parts, and refuse sizes that do not fit", () => {
    const [keys, rest] = splitAt(counting([2, 3, 2]), 1, [1, 2]) as [Weights, Weights];
    expect([values(keys), values(rest)]).toEqual([
      [0, 1, 6, 7],
      [2, 3, 4, 5, 8, 9, 10, 11],
    ]);
    expect(splitEvenly(counting([6]), 0, 3).map(values)).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    expect(() => splitAt(counting([2, 3]), 1, [1, 1])).toThrow(
      'tensor "w" [2,3] cannot be split into 1 + 1',
    );
    expect(() => splitEvenly(counting([5]), 0, 2)).toThrow("cannot be split into 3 + 3");
    expect(() => sliced(counting([2]), { axis: 0, from: 1, count: 2 })).toThrow(
      'tensor "w" [2] has no 2 entries from 1 in dimension 0',
    );
  });

  test("take entries in any order, and add rows of zeros", () => {
    const rows = chosen(counting([3, 2]), 0, [2, 0]);
    expect([rows.shape, values(rows)]).toEqual([
      [2, 2],
      [4, 5, 0, 1],
    ]);
    expect(values(chosen(counting([2, 3], "I16"), 1, [0, 2, 1]))).toEqual([0, 2, 1, 3, 5, 4]);
    expect(() => chosen(counting([2]), 0, [2])).toThrow('tensor "w" [2] has no entry 2');
    const more = padded(counting([2, 2]), 3);
    expect([more.shape, values(more)]).toEqual([
      [3, 2],
      [0, 1, 2, 3, 0, 0],
    ]);
  });

  test("turn the innermost matrices", () => {
    const turned = transposed(counting([2, 2, 3], "I16"));
    expect([turned.shape, values(turned)]).toEqual([
      [2, 3, 2],
      [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11],
    ]);
  });
});

describe("packedMxfp4", () => {
  /** Value of a code, from the format's definition: E2M1. */
  const number = (code: number) => {
    const [exponent, mantissa] = [(code >> 1) & 3, code & 1];
    const size = exponent === 0 ? mantissa / 2 : 2 ** (exponent - 1) * (1 + mantissa / 2);
    return code & 8 ? -size : size;
  };
  /** A checkpoint's numbers: neighbours in a byte, the lower half first. */
  const unpacked = (blocks: readonly number[], scales: readonly number[]) =>
    blocks.flatMap((byte, i) =>
      [byte & 15, byte >> 4].map((code) => number(code) * 2 ** ((scales[i >> 4] ?? 0) - 127)),
    );
  /** ggml's: scale, then bytes with number i low and number i + 16 high. */
  const ggml = (bytes: readonly number[]) => {
    const out: number[] = [];
    for (let at = 0; at < bytes.length; at += 17) {
      const codes = bytes.slice(at + 1, at + 17);
      const scale = 2 ** ((bytes[at] ?? 0) - 127);
      out.push(...codes.map((byte) => number(byte & 15) * scale));
      out.push(...codes.map((byte) => number(byte >> 4) * scale));
    }
    return out;
  };

  test("keeps every number", () => {
    const blocks = counting([2, 3, 2, 16]);
    const scales = counting([2, 3, 2]);
    const packed = packedMxfp4(blocks, scales);
    expect(packed.shape).toEqual([2, 3, 64]);
    const bytes = values(packed);
    expect(bytes).toHaveLength(12 * 17);
    expect(ggml(bytes)).toEqual(unpacked(values(blocks), values(scales)));
  });

  test("refuses codes and scales that do not belong together", () => {
    expect(() => packedMxfp4(counting([1, 2, 16]), counting([1, 3]))).toThrow(
      'tensor "w": codes U8 [1,2,16] and scales U8 [1,3] are no MXFP4',
    );
  });
});
