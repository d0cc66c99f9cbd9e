/**
 * Weights on their way from a source file into a GGUF: what is read, in which order, and what happens
 * to the numbers. All lazily and in pieces, so that tensors of any size take a few megabytes.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { ConvertError } from "../../errors.ts";
import { type Dtype, dtypeBytes, type SourceTensor } from "./safetensors.ts";

/** Bytes that are read at once; a multiple of every element's size. */
const pieceBytes = 4 * 2 ** 20;

/** A stream of elements. Pieces hold whole elements and may be reused after the next one was asked for. */
export interface Weights {
  /** Name in the source, for errors. */
  readonly name: string;
  readonly dtype: Dtype;
  /** Sizes, outermost first. */
  readonly shape: readonly number[];
  pieces(): Iterable<Uint8Array>;
}

function* readPieces(path: string, offset: number, bytes: number): Generator<Uint8Array> {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(Math.min(bytes, pieceBytes));
    let at = 0;
    while (at < bytes) {
      const wanted = Math.min(buffer.length, bytes - at);
      let filled = 0;
      while (filled < wanted) {
        const got = readSync(file, buffer, filled, wanted - filled, offset + at + filled);
        if (got === 0) throw new ConvertError(`read ${path}: the file became shorter`);
        filled += got;
      }
      at += filled;
      yield buffer.subarray(0, filled);
    }
  } finally {
    closeSync(file);
  }
}

/** As the file has it. */
export function weightsOf({ name, dtype, shape, path, offset, bytes }: SourceTensor): Weights {
  return { name, dtype, shape, pieces: () => readPieces(path, offset, bytes) };
}

/** All bytes of a small tensor. Copied one by one: pieces are reused. */
export function allBytes(weights: Weights): Buffer {
  return Buffer.concat(Array.from(weights.pieces(), (piece) => new Uint8Array(piece)));
}

/** The same bytes in pieces of exactly `size`; the last may be shorter. */
export function* regrouped(pieces: Iterable<Uint8Array>, size: number): Generator<Buffer> {
  const out = Buffer.alloc(size);
  let filled = 0;
  for (const piece of pieces) {
    let at = 0;
    while (at < piece.length) {
      const count = Math.min(size - filled, piece.length - at);
      out.set(piece.subarray(at, at + count), filled);
      filled += count;
      at += count;
      if (filled === size) {
        yield out;
        filled = 0;
      }
    }
  }
  if (filled > 0) yield out.subarray(0, filled);
}

/** Bytes of one entry of the outermost dimension. */
function rowBytes({ dtype, shape }: Weights): number {
  return shape.slice(1).reduce((product, size) => product * size, dtypeBytes[dtype]);
}

/** Several tensors of one shape as one with a new outermost dimension. */
export function stacked(name: string, tensors: readonly Weights[]): Weights {
  const [first] = tensors;
  if (first === undefined) throw new ConvertError(`tensor "${name}": nothing to stack`);
  for (const { name: other, shape, dtype } of tensors) {
    if (dtype !== first.dtype || shape.join() !== first.shape.join()) {
      throw new ConvertError(`tensor "${other}" differs in shape or dtype from "${first.name}"`);
    }
  }
  return {
    name,
    dtype: first.dtype,
    shape: [tensors.length, ...first.shape],
    *pieces() {
      for (const tensor of tensors) yield* tensor.pieces();
    },
  };
}

/**
 * Rows in the order that llama.cpp's rotary embedding wants them: within each head the two halves
 * interleaved. Hugging Face keeps the halves one after the other.
 */
export function interleaved(weights: Weights, heads: number): Weights {
  const rows = weights.shape[0] ?? 0;
  if (rows % (heads * 2) !== 0) {
    throw new ConvertError(
      `tensor "${weights.name}": ${rows} rows cannot be split on ${heads} heads`,
    );
  }
  const headRows = rows / heads;
  const half = headRows / 2;
  const stride = rowBytes(weights);
  return {
    ...weights,
    *pieces() {
      const out = Buffer.alloc(headRows * stride);
      for (const head of regrouped(weights.pieces(), headRows * stride)) {
        for (let row = 0; row < headRows; row++) {
          const from = ((row >> 1) + (row & 1) * half) * stride;
          head.copy(out, row * stride, from, from + stride);
        }
        yield out;
      }
    },
  };
}

/** Arrays whose elements have that many bytes. */
const lanes = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array } as const;

/** Rows and columns of the innermost matrices exchanged; one matrix at a time is held. */
export function transposed(weights: Weights): Weights {
  const [rows = 0, columns = 0] = weights.shape.slice(-2);
  const Lane = lanes[dtypeBytes[weights.dtype]];
  return {
    ...weights,
    shape: [...weights.shape.slice(0, -2), columns, rows],
    *pieces() {
      const out = new Lane(rows * columns);
      const turned = new Uint8Array(out.buffer);
      for (const matrix of regrouped(weights.pieces(), turned.length)) {
        const from = new Lane(matrix.buffer as ArrayBuffer, matrix.byteOffset, rows * columns);
        for (let row = 0; row < rows; row++) {
          for (let column = 0; column < columns; column++) {
            out[column * rows + row] = from[row * columns + column] as never;
          }
        }
        yield turned;
      }
    },
  };
}

/** Numbers that are computed, not read. */
export function constant(name: string, values: Float32Array): Weights {
  return {
    name,
    dtype: "F32",
    shape: [values.length],
    *pieces() {
      yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    },
  };
}

/** The same elements under another shape. */
export function reshaped(weights: Weights, shape: readonly number[]): Weights {
  return { ...weights, shape };
}
