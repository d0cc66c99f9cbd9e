/** Number formats of weights: to float32 and back, with the rounding that numpy and ggml use. */
import { ConvertError } from "../../errors.ts";
import type { Dtype } from "./safetensors.ts";

/** Formats that converted weights have. */
export type WeightType = "F32" | "F16" | "BF16";

/** Number of the type in a GGUF. */
export const weightTypeNumber: Readonly<Record<WeightType, number>> = { F32: 0, F16: 1, BF16: 30 };

const tables = new Map<string, Float32Array>();

/** Values of the 256 codes of an 8-bit float. E4M3 is the kind without infinities (S.1111.111 = NaN). */
function table(exponentBits: number, bias: number, finite: boolean): Float32Array {
  const key = `${exponentBits} ${bias}`;
  const known = tables.get(key);
  if (known !== undefined) return known;
  const mantissaBits = 7 - exponentBits;
  const top = 2 ** exponentBits - 1;
  const values = Float32Array.from({ length: 256 }, (_, code) => {
    const sign = code & 0x80 ? -1 : 1;
    const exponent = (code >> mantissaBits) & top;
    const mantissa = code & (2 ** mantissaBits - 1);
    if (exponent === top && finite && mantissa === 2 ** mantissaBits - 1) return Number.NaN;
    if (exponent === top && !finite) return mantissa === 0 ? sign * Infinity : Number.NaN;
    const fraction = mantissa / 2 ** mantissaBits;
    return exponent === 0
      ? sign * fraction * 2 ** (1 - bias)
      : sign * (1 + fraction) * 2 ** (exponent - bias);
  });
  tables.set(key, values);
  return values;
}

/** A view, or a copy where the bytes do not begin at a multiple of the element's size. */
function aligned(bytes: Uint8Array, size: number): { buffer: ArrayBuffer; at: number } {
  const whole = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return { buffer: whole.buffer as ArrayBuffer, at: whole.byteOffset };
}

/** @throws ConvertError for dtypes that hold no weights */
export function toFloats(bytes: Uint8Array, dtype: Dtype): Float32Array {
  switch (dtype) {
    case "F32": {
      const { buffer, at } = aligned(bytes, 4);
      return new Float32Array(buffer, at, bytes.length / 4);
    }
    case "F16": {
      const { buffer, at } = aligned(bytes, 2);
      return new Float32Array(new Float16Array(buffer, at, bytes.length / 2));
    }
    case "BF16": {
      const { buffer, at } = aligned(bytes, 2);
      const bits = new Uint16Array(buffer, at, bytes.length / 2);
      const words = new Uint32Array(bits.length);
      for (let i = 0; i < bits.length; i++) words[i] = (bits[i] ?? 0) << 16;
      return new Float32Array(words.buffer);
    }
    case "F64": {
      const { buffer, at } = aligned(bytes, 8);
      return new Float32Array(new Float64Array(buffer, at, bytes.length / 8));
    }
    case "F8_E4M3":
      return lookUp(bytes, table(4, 7, true));
    case "F8_E5M2":
      return lookUp(bytes, table(5, 15, false));
    default:
      throw new ConvertError(`weights of dtype ${dtype} cannot be converted`);
  }
}

function lookUp(codes: Uint8Array, values: Float32Array): Float32Array {
  const floats = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) floats[i] = values[codes[i] ?? 0] ?? 0;
  return floats;
}

/** Rounds to nearest, ties to even. */
export function fromFloats(floats: Float32Array, type: WeightType): Uint8Array {
  if (type === "F32") return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  if (type === "F16") return new Uint8Array(new Float16Array(floats).buffer);
  const words = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const bits = new Uint16Array(words.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? 0;
    // A NaN keeps its top bits and stays one; rounding could carry it into an infinity.
    bits[i] =
      (word & 0x7fff_ffff) > 0x7f80_0000
        ? (word >>> 16) | 0x40
        : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return new Uint8Array(bits.buffer);
}
