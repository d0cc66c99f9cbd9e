/** Numbers as Go writes them. */
import { describe, expect, test } from "bun:test";
import { shortFloat32 } from "../../../src/model/gojson.ts";

describe("a 32-bit float", () => {
  const cases: [value: number, text: string][] = [
    [0.1, "0.1"],
    [1 / 3, "0.33333334"],
    [-0.0017594862, "-0.0017594862"],
    [-9.965688e-5, "-0.00009965688"],
    [16777216, "16777216"],
    [3.4028234663852886e38, "3.4028235e+38"],
    [1e-45, "1e-45"],
    [0, "0"],
    // Halfway between two decimals: the even one, where toPrecision takes the larger.
    [63545.0625, "63545.062"],
    [-63545.0625, "-63545.062"],
  ];
  for (const [value, text] of cases) {
    test(`${text} is written with as few digits as it needs`, () => {
      expect(String(shortFloat32(value))).toBe(text);
    });
  }

  test("is the same float again, and no shorter decimal would be", () => {
    const bits = new Uint32Array(1);
    const floats = new Float32Array(bits.buffer);
    for (let i = 0; i < 20_000; i++) {
      bits[0] = Math.imul(i, 2654435761) >>> 0;
      const single = floats[0] ?? 0;
      if (!Number.isFinite(single)) continue;
      const short = shortFloat32(single);
      const digits = short.toExponential().replace(/^-|e.*$|\./g, "").length;
      expect(Math.fround(short)).toBe(single);
      if (digits > 1) expect(Math.fround(Number(single.toPrecision(digits - 1)))).not.toBe(single);
    }
  });
});
