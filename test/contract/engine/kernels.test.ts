/**
 * hutch's own products of Q8_0 matrices (ffi/kernels), called as ggml calls them: against exact sums, and
 * against themselves in other shapes, where not a bit may differ. Needs the library and a CPU with AVX2.
 */
import { dlopen, ptr, suffix } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Native } from "../../../ffi/native.ts";
import { haveLibrary, libraryFolderOfTests } from "./native.ts";

const library = join(libraryFolderOfTests, `libggml-cpu-haswell.${suffix}`);
const haveKernels =
  haveLibrary &&
  existsSync(library) &&
  existsSync("/proc/cpuinfo") &&
  / avx2 /.test(readFileSync("/proc/cpuinfo", "latin1"));

const blockBytes = 34;
const blockValues = 32;
const f32 = 0;
const q8 = 8;

interface Matrix {
  /** Blocks, rows of `stride` each. */
  readonly bytes: Buffer;
  /** Blocks from one row to the next. */
  readonly stride: number;
  readonly value: (row: number, at: number) => number;
}

/** Numbers below 2^32, the same in every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
}

/** A matrix with every byte that Q8_0 may have, extremes more often than not. */
function matrix(rows: number, stride: number, next: () => number): Matrix {
  const bytes = Buffer.alloc(rows * stride * blockBytes);
  const scales = new Float16Array(1);
  const half = new Uint16Array(scales.buffer);
  for (let block = 0; block < rows * stride; block++) {
    scales[0] = (next() / 2 ** 32 - 0.5) / 8;
    bytes.writeUInt16LE(half[0] ?? 0, block * blockBytes);
    for (let i = 0; i < blockValues; i++) {
      const any = (next() >>> 8) % 400;
      const value = any > 254 ? (any % 2 === 0 ? 127 : -127) : any - 127;
      bytes.writeInt8(value, block * blockBytes + 2 + i);
    }
  }
  return {
    bytes,
    stride,
    value(row, at) {
      const block = (row * stride + Math.floor(at / blockValues)) * blockBytes;
      half[0] = bytes.readUInt16LE(block);
      return (scales[0] ?? 0) * bytes.readInt8(block + 2 + (at % blockValues));
    },
  };
}

interface Shape {
  readonly rows: number;
  readonly columns: number;
  readonly blocks: number;
  readonly threads?: number;
  /** Blocks and results that lie between one row and the next. */
  readonly gap?: number;
}

const untouched = 1234.5;

describe.skipIf(!haveKernels)("products of Q8_0 matrices", () => {
  const made = haveKernels ? new Native(libraryFolderOfTests) : undefined; // says that kernels are wanted
  const sgemm =
    made === undefined
      ? undefined
      : dlopen(library, {
          llamafile_sgemm: {
            args: [
              ...(["ptr", "i64", "i64", "i64", "ptr", "i64"] as const),
              ...(["ptr", "i64", "ptr", "i64", "i32", "i32", "i32"] as const),
            ],
            returns: "bool",
          },
        }).symbols.llamafile_sgemm;

  /** Columns of results, each with what lies behind its rows. */
  function multiply(weights: Matrix, activations: Matrix, shape: Shape): Float32Array[] {
    const { rows, columns, blocks, threads = 1, gap = 0 } = shape;
    const results = new Float32Array((rows + gap) * columns + gap + 1).fill(untouched);
    for (let thread = 0; thread < threads; thread++) {
      // struct ggml_compute_params without a thread pool and a work buffer
      const params = new DataView(new ArrayBuffer(40));
      params.setInt32(0, thread, true);
      params.setInt32(4, threads, true);
      const [a, b] = [weights.stride, activations.stride];
      const at = [ptr(weights.bytes), ptr(activations.bytes), ptr(results)] as const;
      const { buffer } = params;
      const [m, n, k] = [rows, columns, blocks];
      expect(
        sgemm?.(ptr(buffer), m, n, k, at[0], a, at[1], b, at[2], rows + gap, q8, q8, f32),
      ).toBe(true);
    }
    const column = (c: number) => results.slice(c * (rows + gap), (c + 1) * (rows + gap));
    expect(results.at(-1)).toBe(untouched);
    return Array.from({ length: columns }, (_, c) => column(c));
  }

  const shapes: Shape[] = [
    { rows: 1, columns: 1, blocks: 1 },
    { rows: 8, columns: 1, blocks: 24 },
    { rows: 9, columns: 2, blocks: 3, gap: 5 },
    { rows: 31, columns: 3, blocks: 17 },
    { rows: 40, columns: 7, blocks: 5, threads: 3, gap: 1 },
    { rows: 64, columns: 8, blocks: 16 },
    { rows: 23, columns: 12, blocks: 33, threads: 2, gap: 3 },
    { rows: 130, columns: 13, blocks: 2, threads: 4 },
    { rows: 16, columns: 64, blocks: 20 },
    { rows: 300, columns: 67, blocks: 7, threads: 2, gap: 2 },
    { rows: 5, columns: 131, blocks: 1 },
  ];

  test.each(shapes)("are right: %j", (shape) => {
    const { rows, columns, blocks, gap = 0 } = shape;
    const next = numbers(rows * 1000 + columns);
    const weights = matrix(rows, blocks + gap, next);
    const activations = matrix(columns, blocks + gap, next);
    const wrong: unknown[] = [];
    for (const [c, results] of multiply(weights, activations, shape).entries()) {
      for (const [r, result] of results.entries()) {
        let sum = 0;
        let size = 0;
        for (let i = 0; r < rows && i < blocks * blockValues; i++) {
          const product = weights.value(r, i) * activations.value(c, i);
          sum += product;
          size += Math.abs(product);
        }
        const good = r < rows ? Math.abs(result - sum) <= size * 1e-6 : result === untouched;
        if (!good) wrong.push({ c, r, result, sum });
      }
    }
    expect(wrong).toEqual([]);
  });

  test("are the same to the bit for any number of columns, rows and threads", () => {
    const next = numbers(7);
    const [rows, columns, blocks] = [203, 75, 21];
    const weights = matrix(rows, blocks, next);
    const activations = matrix(columns, blocks, next);
    const whole = multiply(weights, activations, { rows, columns, blocks });
    for (const some of [1, 2, 3, 4, 5, 8, 11, 12, 15, 64, 66]) {
      for (const threads of [1, 2, 5]) {
        const part = multiply(weights, activations, { rows, columns: some, blocks, threads });
        expect(part).toEqual(whole.slice(0, some));
      }
    }
    for (const few of [1, 7, 9, 100]) {
      const part = multiply(weights, activations, { rows: few, columns, blocks });
      expect(part).toEqual(whole.map((column) => column.slice(0, few)));
    }
  });
});
