/** Parts of tensors: a fused projection taken apart, every second row, the half of each expert. */
import { ConvertError } from "../../errors.ts";
import { dtypeBytes } from "./safetensors.ts";
import { regrouped, type Weights } from "./weights.ts";

export interface Slice {
  /** Dimension that is cut, outermost 0; negative from the innermost. */
  readonly axis: number;
  readonly from: number;
  readonly count: number;
  /** Distance of the entries that are taken; 1 by default. */
  readonly step?: number;
}

/** Most bytes of one entry of the dimensions before the axis that are held at once. */
const mostHeld = 64 * 2 ** 20;

/**
 * Entries of one dimension, in their order.
 * @throws ConvertError when the tensor has not that many
 */
export function sliced(weights: Weights, { axis, from, count, step = 1 }: Slice): Weights {
  const at = axis < 0 ? weights.shape.length + axis : axis;
  const size = weights.shape[at] ?? 0;
  const last = from + (count - 1) * step;
  if (last >= size || count < 1) {
    throw new ConvertError(
      `tensor "${weights.name}" [${weights.shape}] has no ${count} entries from ${from} in dimension ${at}`,
    );
  }
  const inner = weights.shape
    .slice(at + 1)
    .reduce((product, length) => product * length, dtypeBytes[weights.dtype]);
  const shape = weights.shape.with(at, count);
  const taken = (entry: number) => entry >= from && entry <= last && (entry - from) % step === 0;
  return {
    ...weights,
    shape,
    *pieces() {
      if (size * inner > mostHeld) {
        // Long entries: one at a time.
        let entry = 0;
        for (const piece of regrouped(weights.pieces(), inner)) {
          if (taken(entry)) yield piece;
          entry = (entry + 1) % size;
        }
        return;
      }
      const out = Buffer.alloc(count * inner);
      for (const block of regrouped(weights.pieces(), size * inner)) {
        if (step === 1) yield block.subarray(from * inner, (last + 1) * inner);
        else {
          for (let i = 0; i < count; i++) {
            const start = (from + i * step) * inner;
            out.set(block.subarray(start, start + inner), i * inner);
          }
          yield out;
        }
      }
    },
  };
}

/** A dimension cut into parts of these sizes, in their order. @throws ConvertError when they do not fit */
export function splitAt(weights: Weights, axis: number, sizes: readonly number[]): Weights[] {
  const size = weights.shape.at(axis) ?? 0;
  if (sizes.reduce((sum, part) => sum + part, 0) !== size) {
    throw new ConvertError(
      `tensor "${weights.name}" [${weights.shape}] cannot be split into ${sizes.join(" + ")}`,
    );
  }
  let from = 0;
  return sizes.map((count) => {
    const part = sliced(weights, { axis, from, count });
    from += count;
    return part;
  });
}

/** A dimension cut into parts of one size. @throws ConvertError when it is no multiple of them */
export function splitEvenly(weights: Weights, axis: number, parts: number): Weights[] {
  const size = (weights.shape.at(axis) ?? 0) / parts;
  return splitAt(weights, axis, new Array<number>(parts).fill(Math.ceil(size)));
}

/**
 * Entries of one dimension in another order, or only some of them. One entry of the dimensions before it
 * is held, so the whole tensor for the outermost.
 * @throws ConvertError when the tensor has not that many
 */
export function chosen(weights: Weights, axis: number, entries: readonly number[]): Weights {
  const at = axis < 0 ? weights.shape.length + axis : axis;
  const size = weights.shape[at] ?? 0;
  const last = entries.reduce((most, entry) => Math.max(most, entry), 0);
  if (last >= size) {
    throw new ConvertError(`tensor "${weights.name}" [${weights.shape}] has no entry ${last}`);
  }
  const inner = weights.shape
    .slice(at + 1)
    .reduce((product, length) => product * length, dtypeBytes[weights.dtype]);
  return {
    ...weights,
    shape: weights.shape.with(at, entries.length),
    *pieces() {
      const out = Buffer.alloc(entries.length * inner);
      for (const block of regrouped(weights.pieces(), size * inner)) {
        for (const [i, entry] of entries.entries()) {
          block.copy(out, i * inner, entry * inner, (entry + 1) * inner);
        }
        yield out;
      }
    },
  };
}

/** Rows of zeros behind the others, up to a number of them. */
export function padded(weights: Weights, rows: number): Weights {
  const missing = rows - (weights.shape[0] ?? 0);
  if (missing <= 0) return weights;
  const row = weights.shape
    .slice(1)
    .reduce((product, length) => product * length, dtypeBytes[weights.dtype]);
  return {
    ...weights,
    shape: weights.shape.with(0, rows),
    *pieces() {
      yield* weights.pieces();
      const zeros = new Uint8Array(row);
      for (let i = 0; i < missing; i++) yield zeros;
    },
  };
}
