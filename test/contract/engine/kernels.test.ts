/**
 * hutch's own products of matrices (ffi/kernels), called as ggml calls them: against exact sums, and
 * against themselves in other shapes, where not a bit may differ. Needs the library and a CPU with AVX2.
 */
import { dlopen, ptr } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { Native } from "../../../ffi/native.ts";
import { computeParams } from "../../support/ggml-tensor.ts";
import {
  bf16,
  f16,
  type Matrix,
  matrix,
  numbers,
  q5_K,
  q6_K,
  q8_0,
  q8_K,
} from "../../support/quantised.ts";
import { haveKernels, kernelLibrary } from "./kernels.ts";
import { libraryFolderOfTests } from "./native.ts";

const f32 = 0;

interface Shape {
  readonly rows: number;
  readonly columns: number;
  readonly blocks: number;
  readonly threads?: number;
  /** Blocks and results that lie between one row and the next. */
  readonly gap?: number;
}

const untouched = 1234.5;

const shapes: Shape[] = [
  { rows: 1, columns: 1, blocks: 1 },
  { rows: 8, columns: 1, blocks: 24 },
  { rows: 9, columns: 2, blocks: 3, gap: 5 },
  { rows: 31, columns: 3, blocks: 17 },
  { rows: 40, columns: 7, blocks: 5, threads: 3, gap: 1 },
  { rows: 64, columns: 8, blocks: 6 },
  { rows: 23, columns: 12, blocks: 33, threads: 2, gap: 3 },
  { rows: 130, columns: 13, blocks: 2, threads: 4 },
  { rows: 16, columns: 64, blocks: 3 },
  { rows: 150, columns: 67, blocks: 2, threads: 2, gap: 2 },
  { rows: 5, columns: 131, blocks: 1 },
];

/**
 * A kind of weights, from how many columns on there are products of it, from how many on they do not depend
 * on their number, and what ggml counts strides in: blocks, or values of them.
 */
const kinds = [
  { name: "Q8_0", weights: q8_0, activations: q8_0, least: 1, steady: 1, units: 1 },
  { name: "Q5_K", weights: q5_K, activations: q8_K, least: 1, steady: 7, units: 1 },
  { name: "Q6_K", weights: q6_K, activations: q8_K, least: 1, steady: 7, units: 1 },
  { name: "F16", weights: f16, activations: f16, least: 16, steady: 16, units: 32 },
  { name: "BF16", weights: bf16, activations: bf16, least: 16, steady: 16, units: 32 },
];

/** The library's function; kernels are wanted once a Native is made. */
function openProduct() {
  new Native(libraryFolderOfTests);
  const { symbols } = dlopen(kernelLibrary, {
    llamafile_sgemm: {
      args: [
        ...(["ptr", "i64", "i64", "i64", "ptr", "i64"] as const),
        ...(["ptr", "i64", "ptr", "i64", "i32", "i32", "i32"] as const),
      ],
      returns: "bool",
    },
    ggml_cpu_init: { args: [], returns: "void" },
  });
  // On a newer CPU another library was loaded, and this one's tables are still empty.
  symbols.ggml_cpu_init();
  return symbols.llamafile_sgemm;
}

describe.skipIf(!haveKernels)("products of matrices", () => {
  const product = haveKernels ? openProduct() : undefined;

  /** Columns of results, each with what lies behind its rows. */
  function multiply(
    weights: Matrix,
    activations: Matrix,
    shape: Shape & { units: number },
  ): Float32Array[] {
    const { units } = shape;
    const { rows, columns, blocks, threads = 1, gap = 0 } = shape;
    const results = new Float32Array((rows + gap) * columns + 1).fill(untouched);
    for (let thread = 0; thread < threads; thread++) {
      const made = product?.(
        ptr(computeParams(thread, threads)),
        rows,
        columns,
        blocks * units,
        ptr(weights.bytes),
        weights.stride * units,
        ptr(activations.bytes),
        activations.stride * units,
        ptr(results),
        rows + gap,
        weights.type.id,
        activations.type.id,
        f32,
      );
      expect(made).toBe(true);
    }
    expect(results.at(-1)).toBe(untouched);
    const column = (c: number) => results.slice(c * (rows + gap), (c + 1) * (rows + gap));
    return Array.from({ length: columns }, (_, c) => column(c));
  }

  describe.each(kinds)("$name", ({ weights: type, activations: with_, least, steady, units }) => {
    test.each(shapes.filter(({ columns }) => columns >= least))("are right: %j", (shape) => {
      const { rows, columns, blocks, gap = 0 } = shape;
      const next = numbers(rows * 1000 + columns);
      const weights = matrix(type, rows, blocks + gap, next);
      const activations = matrix(with_, columns, blocks + gap, next);
      const exact = Array.from({ length: rows }, (_, r) => weights.row(r, blocks));
      const wrong: unknown[] = [];
      for (const [c, results] of multiply(weights, activations, { ...shape, units }).entries()) {
        const column = activations.row(c, blocks);
        for (const [r, result] of results.entries()) {
          let [sum, size] = [0, 0];
          for (const [i, value] of exact[r]?.entries() ?? []) {
            const product = value * (column[i] ?? 0);
            sum += product;
            size += Math.abs(product);
          }
          const good = r < rows ? Math.abs(result - sum) <= size * 2e-6 : result === untouched;
          if (!good) wrong.push({ c, r, result, sum });
        }
      }
      expect(wrong).toEqual([]);
    });

    test("are the same to the bit for other numbers of columns, rows and threads", () => {
      const next = numbers(7);
      const [rows, columns, blocks] = [203, 75, 5];
      const weights = matrix(type, rows, blocks, next);
      const activations = matrix(with_, columns, blocks, next);
      const whole = multiply(weights, activations, { rows, columns, blocks, units });
      for (const some of [1, 2, 3, 4, 5, 7, 8, 11, 12, 15, 64, 66].filter((n) => n >= steady)) {
        for (const threads of [1, 2, 5]) {
          const part = multiply(weights, activations, {
            rows,
            columns: some,
            blocks,
            threads,
            units,
          });
          expect(part).toEqual(whole.slice(0, some));
        }
      }
      for (const few of [1, 7, 9, 100]) {
        const part = multiply(weights, activations, { rows: few, columns, blocks, units });
        expect(part).toEqual(whole.map((column) => column.slice(0, few)));
      }
    });
  });
});
