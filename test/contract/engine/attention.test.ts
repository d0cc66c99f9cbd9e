/**
 * hutch's own attention (ffi/kernels), called as ggml calls it: against exact sums, and against itself
 * beside other queries, where not a bit may differ. Needs the library and a CPU with AVX2.
 */
import { dlopen, ptr } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Native } from "../../../ffi/native.ts";
import type { GenerateRequest, LoadedModel } from "../../../src/engine/engine.ts";
import { temporaryFolder } from "../../support/executable.ts";
import { computeParams, GgmlTensor } from "../../support/ggml-tensor.ts";
import {
  type BlockType,
  bf16,
  type Matrix,
  matrix,
  numbers,
  q8_0,
} from "../../support/quantised.ts";
import { tinyDecoder } from "../../support/tiny-models.ts";
import { loadSpec, request } from "./cases.ts";
import { engineHasKernels, haveKernels, kernelLibrary } from "./kernels.ts";
import { libraryFolderOfTests, nativeEngine } from "./native.ts";

/** 8 halves, for heads of any size. */
const f16: BlockType = {
  id: 1,
  bytes: 16,
  values: 8,
  fill(block, next) {
    new Float16Array(block.buffer, block.byteOffset, 8).forEach((_, i, halves) => {
      halves[i] = (next() / 2 ** 32 - 0.5) / 4;
    });
  },
  read: (block, at) => new Float16Array(block.buffer, block.byteOffset, 8)[at] ?? 0,
};

const f32: BlockType = {
  id: 0,
  bytes: 32,
  values: 8,
  fill(block, next) {
    for (let i = 0; i < 8; i++) block.writeFloatLE((next() / 2 ** 32 - 0.5) / 4, 4 * i);
  },
  read: (block, at) => block.readFloatLE(4 * at),
};

interface Shape {
  readonly keys: BlockType;
  readonly values?: BlockType;
  /** Values of a key; of a value, when they differ. */
  readonly size: number;
  readonly valueSize?: number;
  /** Heads of keys, and of queries for each of them. */
  readonly heads: number;
  readonly shared: number;
  readonly queries: number;
  readonly cells: number;
  readonly sequences?: number;
  /** Which cells a query does not see, none without. */
  readonly hides?: (query: number, cell: number, sequence: number) => boolean;
  readonly bias?: number;
  readonly cap?: number;
  readonly sinks?: boolean;
  readonly threads?: number;
}

/** Everything about a call but how many queries and threads it has. */
interface Inputs {
  readonly shape: Shape;
  readonly q: Float32Array;
  readonly k: Rows;
  readonly v: Rows;
  readonly mask: Uint16Array | undefined;
  readonly sinks: Float32Array | undefined;
}

const scale = 0.5;
const untouched = 1234.5;
/** Cells from which on attention is not left to ggml. */
const least = 257;
const later = (query: number, cell: number) => cell > query + least;

const shapes: Record<string, Shape> = {
  "one query": { keys: f16, size: 8, heads: 1, shared: 1, queries: 1, cells: least },
  "a step of three heads to one": {
    ...{ keys: f16, size: 64, heads: 4, shared: 3, queries: 1, cells: 512, sequences: 3 },
    hides: (_, cell, sequence) => cell > 260 + 70 * sequence,
  },
  "four heads to one, large": { keys: f16, size: 128, heads: 2, shared: 4, queries: 2, cells: 260 },
  "a prompt": { keys: f16, size: 64, heads: 2, shared: 2, queries: 70, cells: 326, hides: later },
  "heads of odd sizes": {
    ...{ keys: f16, size: 40, valueSize: 72, heads: 1, shared: 7, queries: 9, cells: 277 },
    hides: later,
  },
  "many heads to one": { keys: f16, size: 96, heads: 1, shared: 71, queries: 1, cells: 321 },
  "a query that sees nothing": {
    ...{ keys: f16, size: 16, heads: 1, shared: 1, queries: 4, cells: 320 },
    hides: (query, cell) => query === 2 || (cell >= 64 && cell < 128),
  },
  "a window": {
    ...{ keys: f16, size: 32, heads: 2, shared: 1, queries: 100, cells: 400, threads: 3 },
    hides: (query, cell) => cell > query + 300 || cell < query + 260,
  },
  "32 bits": { keys: f32, size: 24, heads: 3, shared: 2, queries: 5, cells: 298, threads: 2 },
  "16 bits of the other kind": {
    ...{ keys: bf16, size: 64, heads: 1, shared: 5, queries: 3, cells: 320 },
  },
  "8 bits": { keys: q8_0, size: 64, heads: 2, shared: 3, queries: 1, cells: 350, hides: later },
  "mixed types": {
    ...{ keys: q8_0, values: f16, size: 32, heads: 1, shared: 4, queries: 6, cells: 290 },
  },
  "weights by distance": {
    ...{ keys: f16, size: 16, heads: 12, shared: 1, queries: 3, cells: 300, bias: 8 },
    hides: later,
  },
  "capped scores": { keys: f16, size: 64, heads: 2, shared: 2, queries: 3, cells: 300, cap: 0.7 },
  sinks: { keys: f16, size: 64, heads: 2, shared: 4, queries: 3, cells: 300, sinks: true },
};

/** Keys or values with what they are as numbers, a row for each head of a cell. */
interface Rows extends Matrix {
  readonly numbers: readonly Float64Array[];
}

function rowsOf(type: BlockType, rows: number, size: number, next: () => number): Rows {
  const blocks = size / type.values;
  const made = matrix(type, rows, blocks, next);
  return { ...made, numbers: Array.from({ length: rows }, (_, row) => made.row(row, blocks)) };
}

function inputsOf(shape: Shape): Inputs {
  const { keys, values = keys, size, valueSize = size, heads, shared } = shape;
  const { queries, cells, sequences = 1, hides, bias } = shape;
  const next = numbers(size * 1000 + cells);
  const floats = (count: number, most: number) =>
    Float32Array.from({ length: count }, () => (next() / 2 ** 32 - 0.5) * 2 * most);
  const places = Array.from({ length: sequences * queries * cells }, (_, i) => ({
    cell: i % cells,
    query: Math.floor(i / cells) % queries,
    sequence: Math.floor(i / cells / queries),
  }));
  // Biases are added to what is hidden or not: distances, for `weights by distance`.
  const shown = (query: number, cell: number) =>
    bias === undefined ? 0 : -Math.abs(query + least - cell);
  const mask = new Float16Array(
    places.map(({ query, cell, sequence }) =>
      hides?.(query, cell, sequence) ? Number.NEGATIVE_INFINITY : shown(query, cell),
    ),
  );
  return {
    shape,
    // Keys of 8 bits are up to 7.6, others up to an eighth.
    q: floats(size * heads * shared * queries * sequences, keys === q8_0 ? 0.1 : 6),
    k: rowsOf(keys, heads * cells * sequences, size, next),
    v: rowsOf(values, heads * cells * sequences, valueSize, next),
    mask: hides === undefined ? undefined : new Uint16Array(mask.buffer),
    sinks: shape.sinks ? floats(heads * shared, 3) : undefined,
  };
}

/** Keys or values as they lie in the context: the heads of a cell side by side. */
function contextOf({ bytes, type, stride }: Matrix, size: number, shape: Shape): GgmlTensor {
  const { heads, cells, sequences = 1 } = shape;
  const head = stride * type.bytes;
  const ggmlBlock = type.id === q8_0.id ? q8_0.bytes : type.bytes / type.values;
  return new GgmlTensor({
    type: type.id,
    data: bytes,
    ne: [size, cells, heads, sequences],
    nb: [ggmlBlock, head * heads, head, head * heads * cells],
  });
}

/** Result of a row, computed in 64 bits. */
function exact({ shape, q, k, v, mask, sinks }: Inputs, row: Row): Float64Array {
  const { size, valueSize = size, heads, shared, cells } = shape;
  const { query, head, sequence } = row;
  const of = (cell: number) => (sequence * cells + cell) * heads + Math.floor(head / shared);
  const all = heads * shared;
  const below = 2 ** Math.floor(Math.log2(all));
  const { bias = 0, cap = 0, queries } = shape;
  const step =
    head < below ? [-bias / below, head + 1] : [-bias / 2 / below, 2 * (head - below) + 1];
  const slope = bias > 0 ? 2 ** ((step[0] ?? 0) * (step[1] ?? 0)) : 1;
  const from = ((sequence * queries + query) * all + head) * size;
  const halves = mask === undefined ? undefined : new Float16Array(mask.buffer);
  const scores = Array.from({ length: cells }, (_, cell) => {
    const key = k.numbers[of(cell)] ?? [];
    let sum = 0;
    for (let d = 0; d < size; d++) sum += (q[from + d] ?? 0) * (key[d] ?? 0);
    const capped = cap > 0 ? cap * Math.tanh((sum * scale) / cap) : sum * scale;
    return capped + slope * (halves?.[(sequence * queries + query) * cells + cell] ?? 0);
  });
  const sink = sinks?.[head] ?? Number.NEGATIVE_INFINITY;
  const weights = scores.map((score) => Math.exp(score));
  const total = weights.reduce((sum, weight) => sum + weight, Math.exp(sink));
  const result = new Float64Array(valueSize);
  for (const [cell, weight] of weights.entries()) {
    if (weight === 0) continue;
    const value = v.numbers[of(cell)] ?? [];
    for (let d = 0; d < valueSize; d++)
      result[d] = (result[d] ?? 0) + (weight / total) * (value[d] ?? 0);
  }
  return result;
}

interface Row {
  readonly query: number;
  readonly head: number;
  readonly sequence: number;
}

function openAttention() {
  new Native(libraryFolderOfTests); // which wants the kernels
  const { symbols } = dlopen(kernelLibrary, {
    ggml_compute_forward_flash_attn_ext: { args: ["ptr", "ptr"], returns: "void" },
  });
  return symbols.ggml_compute_forward_flash_attn_ext;
}

describe.skipIf(!haveKernels)("attention", () => {
  const attention = haveKernels ? openAttention() : undefined;

  /** Results of the first `queries` of one sequence or several, and what lies behind them. */
  function attend(inputs: Inputs, queries: number, threads: number): Float32Array {
    const { shape, q, k, v, mask, sinks } = inputs;
    const { size, valueSize = size, heads, shared, cells, sequences = 1 } = shape;
    const all = heads * shared;
    const results = new Float32Array(valueSize * all * queries * sequences + 1).fill(untouched);
    const row = 4 * size;
    const queryTensor = new GgmlTensor({
      type: f32.id,
      data: q,
      ne: [size, queries, all, sequences],
      nb: [4, row * all, row, row * all * shape.queries],
    });
    const seen = mask && {
      type: f16.id,
      data: mask,
      ne: [cells, queries, 1, sequences] as const,
      nb: [2, 2 * cells, 2 * cells * shape.queries, 2 * cells * shape.queries] as const,
    };
    const flat = sinks && {
      type: f32.id,
      data: sinks,
      ne: [all, 1, 1, 1] as const,
      nb: [4, 4 * all, 4 * all, 4 * all] as const,
    };
    const line = 4 * valueSize;
    const sources = [
      queryTensor,
      contextOf(k, size, shape),
      contextOf(v, valueSize, shape),
      seen && new GgmlTensor(seen),
      flat && new GgmlTensor(flat),
    ];
    const to = new GgmlTensor({
      type: f32.id,
      data: results,
      ne: [valueSize, all, queries, sequences],
      nb: [4, line, line * all, line * all * queries],
      parameters: new Float32Array([scale, shape.bias ?? 0, shape.cap ?? 0]),
      sources,
    });
    const work = new Float32Array(threads * 128 * (size + valueSize + 64));
    for (let thread = 0; thread < threads; thread++) {
      const params = computeParams(thread, threads, work);
      attention?.(ptr(params), to.pointer);
    }
    expect(sources.length).toBe(5); // they are alive until here
    return results;
  }

  test.each(Object.entries(shapes))("is right: %s", (_, shape) => {
    const { size, valueSize = size, heads, shared, queries, sequences = 1, threads = 1 } = shape;
    const inputs = inputsOf(shape);
    const results = attend(inputs, queries, threads);
    const all = heads * shared;
    const allowed = shape.keys === q8_0 ? 2e-5 : 2e-6;
    const wrong: unknown[] = [];
    for (let i = 0; i < all * queries * sequences; i++) {
      const [head, query] = [i % all, Math.floor(i / all) % queries];
      const row = { head, query, sequence: Math.floor(i / all / queries) };
      for (const [d, value] of exact(inputs, row).entries()) {
        const result = results[i * valueSize + d] ?? Number.NaN;
        if (!(Math.abs(result - value) <= allowed)) wrong.push({ ...row, d, result, value });
      }
    }
    expect(wrong).toEqual([]);
    expect(results.at(-1)).toBe(untouched);
  });

  test.each(["keys", "values"] as const)(
    "is not touched by hidden %s that are no numbers",
    (which) => {
      const shape: Shape = {
        ...{ keys: f16, size: 64, heads: 2, shared: 3, queries: 2, cells: 512 },
        hides: (query, cell) => cell > 330 + query,
      };
      const inputs = inputsOf(shape);
      const whole = attend(inputs, 2, 1);
      const { bytes } = which === "keys" ? inputs.k : inputs.v;
      const cell = bytes.length / shape.cells;
      for (const [at, half] of [0x7c00, 0x7e00].entries()) {
        for (let i = 0; i < cell; i += 2) bytes.writeUInt16LE(half, (340 + at) * cell + i);
      }
      expect(attend(inputs, 2, 1)).toEqual(whole);
    },
  );

  test.each(["a prompt", "a window", "8 bits", "heads of odd sizes"])(
    "is the same to the bit beside other queries and in more threads: %s",
    (name) => {
      const shape = shapes[name];
      if (shape === undefined) throw new Error(name);
      const inputs = inputsOf(shape);
      const { size, valueSize = size, heads, shared, queries } = shape;
      const whole = attend(inputs, queries, 1);
      for (const few of [1, 2, 3, 5, 8, 17, 48, 69].filter((count) => count <= queries)) {
        for (const threads of [1, 2, 5]) {
          const some = attend(inputs, few, threads).slice(0, -1);
          expect(some).toEqual(whole.slice(0, valueSize * heads * shared * few));
        }
      }
    },
  );
});

const never = new AbortController().signal;

/** Text and log probabilities of an answer. */
async function answer(model: LoadedModel, wanted: GenerateRequest) {
  const [texts, probabilities]: [string[], number[]] = [[], []];
  for await (const event of model.generate(wanted, never)) {
    if (event.type !== "text") continue;
    texts.push(event.text);
    probabilities.push(...(event.logprobs ?? []).map(({ logprob }) => logprob));
  }
  return { text: texts.join(""), probabilities };
}

describe.skipIf(!engineHasKernels)("attention of a model", () => {
  test("says the same when threads share the cells of its only head of keys", async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "model.gguf");
    writeFileSync(path, tinyDecoder("llama", { keyHeads: 1 }));
    await using engine = nativeEngine();
    const long = "once upon a time there was a little girl who loved to play ".repeat(5);
    const answers = [];
    for (const threads of [1, 2]) {
      const spec = { ...loadSpec(path), contextLength: 512, threads };
      await using loaded = await engine.load(spec, never);
      const wanted = request(long, { maxTokens: 12, logprobs: 0 });
      answers.push(await answer(loaded, wanted));
    }
    const [alone, shared] = answers;
    expect(shared?.text).toBe(alone?.text ?? "");
    expect(shared?.probabilities.length).toBe(alone?.probabilities.length ?? 0);
    const apart = shared?.probabilities.map((p, i) => Math.abs(p - (alone?.probabilities[i] ?? 0)));
    expect(Math.max(...(apart ?? []))).toBeLessThan(1e-4);
    // Sums in other parts have other last bits.
    expect(shared?.probabilities).not.toEqual(alone?.probabilities);
  }, 60_000);
});
