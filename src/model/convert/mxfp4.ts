/**
 * Weights of gpt-oss: four bits each, in blocks of 32 with a shared power of two (OCP MX, E2M1 with E8M0).
 * Checkpoints keep codes and scales apart, and two neighbours in a byte; ggml's block is the scale and then
 * 16 bytes that hold numbers i and i + 16.
 */
import { ConvertError } from "../../errors.ts";
import { regrouped, type Weights } from "./weights.ts";

/** Elements, and bytes of their codes, of a block. */
const elements = 32;
const codes = 16;

/** Bytes of codes that are packed at once. */
const atOnce = 2 ** 20;

/**
 * @param blocks codes as [experts, rows, blocks, 16] bytes
 * @param scales as [experts, rows, blocks]
 * @returns bytes of ggml's blocks; the shape counts elements
 * @throws ConvertError when the two do not belong together
 */
export function packedMxfp4(blocks: Weights, scales: Weights): Weights {
  const outer = blocks.shape.slice(0, -1);
  if (
    blocks.dtype !== "U8" ||
    scales.dtype !== "U8" ||
    blocks.shape.at(-1) !== codes ||
    outer.join() !== scales.shape.join()
  ) {
    throw new ConvertError(
      `tensor "${blocks.name}": codes ${blocks.dtype} [${blocks.shape}] and scales ${scales.dtype} [${scales.shape}] are no MXFP4`,
    );
  }
  return {
    ...blocks,
    shape: [...outer.slice(0, -1), (outer.at(-1) ?? 0) * elements],
    *pieces() {
      const count = atOnce / codes;
      const factors = regrouped(scales.pieces(), count);
      for (const piece of regrouped(blocks.pieces(), atOnce)) {
        yield pack(piece, factors.next().value ?? new Uint8Array());
      }
    },
  };
}

function pack(piece: Uint8Array, factors: Uint8Array): Uint8Array {
  const out = new Uint8Array(factors.length * (codes + 1));
  for (const [block, factor] of factors.entries()) {
    const from = block * codes;
    const to = block * (codes + 1);
    out[to] = factor;
    for (let i = 0; i < codes; i++) {
      // Elements i and i + 16 lie in bytes i / 2 and i / 2 + 8, the even one in the low half.
      const shift = (i & 1) * 4;
      const low = ((piece[from + (i >> 1)] ?? 0) >> shift) & 15;
      const high = ((piece[from + (i >> 1) + codes / 2] ?? 0) >> shift) & 15;
      out[to + 1 + i] = low | (high << 4);
    }
  }
  return out;
}
