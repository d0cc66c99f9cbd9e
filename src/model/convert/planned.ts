/** Weights with their place in the GGUF: name, type, and the change of their numbers on the way. */
import { ConvertError } from "../../errors.ts";
import type { WriteTensor } from "../gguf/writer.ts";
import { fromFloats, toFloats, type WeightType, weightTypeNumber } from "./numbers.ts";
import { dtypeBytes } from "./safetensors.ts";
import { allBytes, regrouped, type Weights } from "./weights.ts";

export interface Planned {
  readonly name: string;
  readonly weights: Weights;
  /** What happens to every number; norms that are stored less one get theirs back. */
  readonly change?: (value: number) => number;
  /** Left out: as `typeOf` says. */
  readonly type?: WeightType;
  /** The bytes are blocks already, of the type with this number; the shape counts elements. */
  readonly packed?: number;
}

/** Names of matrices that stay in full precision (create.md 5.4). */
const fullPrecision = /\.bias$|ffn_gate_inp|ffn_gate_inp_shexp|^token_types\.|_norm\.weight$/;

/**
 * Type of a tensor: vectors, biases, norms and routers in full, all others in 16 bits; bfloat16 where
 * the source is, or is wider in range than float16 (8-bit floats with scales).
 */
function typeOf(name: string, { dtype, shape }: Weights): WeightType {
  if (shape.length <= 1 || fullPrecision.test(name)) return "F32";
  return dtype === "BF16" || dtype.startsWith("F8_") ? "BF16" : "F16";
}

/** As the GGUF writer wants it. Dimensions are reversed: innermost first. */
export function toWriteTensor({ name, weights, change, type, packed }: Planned): WriteTensor {
  if (weights.shape.length > 4) {
    throw new ConvertError(`tensor "${name}": ${weights.shape.length} dimensions are more than 4`);
  }
  const shape = weights.shape.toReversed();
  if (packed !== undefined) return { name, type: packed, shape, data: () => weights.pieces() };
  const target = type ?? typeOf(name, weights);
  return {
    name,
    type: weightTypeNumber[target],
    shape,
    *data() {
      for (const piece of weights.pieces()) {
        if (weights.dtype === target && change === undefined) yield piece;
        else {
          const floats = toFloats(piece, weights.dtype);
          yield fromFloats(change === undefined ? floats : floats.map(change), target);
        }
      }
    },
  };
}

/**
 * 8-bit weights with a scale for every block (128 × 128 by custom), as bfloat16, which has
 * their range. One row at a time is held.
 */
export function descaled(weights: Weights, scale: Weights, block: readonly number[]): Weights {
  const [rows = 0, columns = 0] = weights.shape;
  const [blockRows = 0, blockColumns = 0] = block;
  const [scaleRows = 0, scaleColumns = 0] = scale.shape;
  if (
    weights.shape.length !== 2 ||
    scaleRows !== Math.ceil(rows / blockRows) ||
    scaleColumns !== Math.ceil(columns / blockColumns)
  ) {
    throw new ConvertError(
      `tensor "${weights.name}": scales [${scale.shape}] do not fit [${weights.shape}] in blocks of [${block}]`,
    );
  }
  return {
    ...weights,
    dtype: "BF16",
    *pieces() {
      const scales = toFloats(allBytes(scale), scale.dtype);
      let row = 0;
      for (const piece of regrouped(weights.pieces(), columns * dtypeBytes[weights.dtype])) {
        const floats = toFloats(piece, weights.dtype);
        const first = Math.floor(row++ / blockRows) * scaleColumns;
        for (let column = 0; column < columns; column++) {
          const factor = scales[first + Math.floor(column / blockColumns)] ?? 1;
          floats[column] = (floats[column] ?? 0) * factor;
        }
        yield fromFloats(floats, "BF16");
      }
    },
  };
}
