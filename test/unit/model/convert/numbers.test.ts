import { describe, expect, test } from "bun:test";
import { fromFloats, toFloats } from "../../../../src/model/convert/numbers.ts";

function bits16(values: number[], type: "F16" | "BF16"): number[] {
  const bytes = fromFloats(Float32Array.from(values), type);
  return [...new Uint16Array(bytes.slice().buffer)];
}

describe("number formats of weights", () => {
  test("float16 rounds to nearest, ties to even, and keeps subnormals, infinities and signs", () => {
    const tie = 1 + 2 ** -11;
    const nextTie = 1 + 3 * 2 ** -11;
    expect(bits16([0, -0, 1, -2, 65504, 65520, tie, nextTie, 2 ** -24], "F16")).toEqual([
      0, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x7c00, 0x3c00, 0x3c02, 1,
    ]);
  });

  test("bfloat16 rounds to nearest, ties to even; a NaN stays one", () => {
    const tie = 1 + 2 ** -8;
    const nextTie = 1 + 3 * 2 ** -8;
    expect(bits16([1, tie, nextTie, -3.5, Number.POSITIVE_INFINITY], "BF16")).toEqual([
      0x3f80, 0x3f80, 0x3f82, 0xc060, 0x7f80,
    ]);
    const nan = Float32Array.of(0);
    new Uint32Array(nan.buffer)[0] = 0x7fff_ffff;
    const [coded] = new Uint16Array(fromFloats(nan, "BF16").slice().buffer);
    expect(Number.isNaN(toFloats(Uint8Array.of(coded ?? 0, (coded ?? 0) >> 8), "BF16")[0])).toBe(
      true,
    );
  });

  test("8-bit floats have the values of their standards", () => {
    const codes = Uint8Array.of(0x00, 0x01, 0x08, 0x38, 0x7e, 0xb8, 0x7f);
    expect([...toFloats(codes, "F8_E4M3")]).toEqual([0, 2 ** -9, 2 ** -6, 1, 448, -1, Number.NaN]);
    const wide = Uint8Array.of(0x00, 0x01, 0x3c, 0x7b, 0x7c, 0xfc);
    expect([...toFloats(wide, "F8_E5M2")]).toEqual([
      0,
      2 ** -16,
      1,
      57344,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ]);
  });

  test("bytes that begin anywhere are read right", () => {
    const buffer = new Uint8Array(9);
    new DataView(buffer.buffer).setFloat32(1, 1.5, true);
    new DataView(buffer.buffer).setFloat32(5, -2, true);
    expect([...toFloats(buffer.subarray(1), "F32")]).toEqual([1.5, -2]);
    expect([...toFloats(Buffer.from(buffer.buffer, 1, 8), "F32")]).toEqual([1.5, -2]);
  });

  test("whole numbers are no weights", () => {
    expect(() => toFloats(new Uint8Array(8), "I64")).toThrow("dtype I64 cannot be converted");
  });
});
