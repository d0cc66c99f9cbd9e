/**
 * A memory-safe reader of GGUF heads: header, metadata, tensor table. Trusts no count, length or
 * offset of the file; a malformed one gives a `GgufError` that names field and byte, in bounded time
 * and memory. Contents of arrays stay in the file until asked for (`readArray`).
 */
import { GgufError } from "../../errors.ts";
import { Cursor } from "./cursor.ts";
import {
  type ScalarType,
  scalarBytes,
  type TensorType,
  tensorTypes,
  type ValueType,
  valueTypes,
} from "./types.ts";

/** An array of metadata: where it lies, not what it holds. */
export interface GgufArray {
  readonly type: ScalarType | "string";
  readonly length: number;
  /** File offset of the first element. */
  readonly offset: number;
}

/** Where a value lies in the file, its type not counted: bytes [offset, end). */
interface Extent {
  readonly offset: number;
  readonly end: number;
}

export type GgufScalar = string | number | bigint | boolean;
export type GgufValue =
  | ({ readonly type: ScalarType | "string"; readonly value: GgufScalar } & Extent)
  | ({ readonly type: "array"; readonly value: GgufArray } & Extent);

export interface GgufTensor {
  readonly name: string;
  readonly type: TensorType;
  /** Elements per dimension, innermost first. */
  readonly shape: readonly number[];
  readonly elements: number;
  /** From the start of the tensor data. */
  readonly offset: number;
  readonly bytes: number;
}

export interface GgufHead {
  readonly path: string;
  readonly version: number;
  readonly fileBytes: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
  /** File offset of the tensor data. */
  readonly dataOffset: number;
  readonly alignment: number;
}

/** Most elements of an array; the reference's bound. */
const longestArray = 64 * 2 ** 20;
/** Most dimensions of a tensor (ggml.h GGML_MAX_DIMS). */
const mostDimensions = 4;
/** Smallest possible metadata entry and tensor entry, bytes: bounds their counts. */
const smallestPair = 8 + 1 + 4 + 1;
const smallestTensor = 8 + 1 + 4 + 8 + 4 + 8;

/** @throws GgufError naming the field and the byte offset */
export function readGguf(path: string): GgufHead {
  const cursor = new Cursor(path);
  try {
    return new Reader(cursor, path).read();
  } finally {
    cursor.close();
  }
}

class Reader {
  readonly #cursor: Cursor;
  readonly #path: string;
  readonly #metadata = new Map<string, GgufValue>();

  constructor(cursor: Cursor, path: string) {
    this.#cursor = cursor;
    this.#path = path;
  }

  read(): GgufHead {
    const cursor = this.#cursor;
    const version = this.#header();
    const tensorCount = this.#count("tensor count", smallestTensor);
    const pairCount = this.#count("metadata key count", smallestPair);
    for (let i = 0; i < pairCount; i++) this.#pair(i);
    const alignment = this.#alignment();
    const tensors: GgufTensor[] = [];
    const names = new Set<string>();
    for (let i = 0; i < tensorCount; i++) tensors.push(this.#tensor(i, names, alignment));
    const dataOffset = Math.ceil(cursor.offset / alignment) * alignment;
    for (const tensor of tensors) this.#fits(tensor, dataOffset);
    return {
      path: this.#path,
      version,
      fileBytes: cursor.size,
      metadata: this.#metadata,
      tensors,
      dataOffset,
      alignment,
    };
  }

  #header(): number {
    const cursor = this.#cursor;
    if (cursor.size === 0) throw new GgufError("the file is empty, not a GGUF", "magic", 0);
    if (cursor.size < 4) {
      throw new GgufError("unexpected EOF in the GGUF magic at byte 0", "magic", 0);
    }
    const magic = cursor.bytes(4, "GGUF magic").toString("latin1");
    if (magic !== "GGUF") throw new GgufError("invalid file magic, not a GGUF", "magic", 0);
    const version = cursor.u32("version in the header");
    if (version === 2 || version === 3) return version;
    const swapped = Buffer.from([
      version,
      version >>> 8,
      version >>> 16,
      version >>> 24,
    ]).readUInt32BE(0);
    const why =
      swapped >= 1 && swapped <= 3
        ? `the byte order is big-endian (version ${swapped})`
        : `unsupported version ${version}`;
    throw new GgufError(`${why} at byte 4; versions 2 and 3 are supported`, "version", 4);
  }

  #count(field: string, smallest: number): number {
    const at = this.#cursor.offset;
    const count = this.#cursor.u64(`${field} in the header`);
    if (count > BigInt(Math.floor(this.#cursor.left / smallest))) {
      throw new GgufError(
        `${field} ${count} at byte ${at} is more than the file can hold (unexpected EOF)`,
        field,
        at,
      );
    }
    return Number(count);
  }

  #pair(index: number): void {
    const cursor = this.#cursor;
    const at = cursor.offset;
    const key = cursor.string(`metadata key ${index}`, true);
    if (key === "") throw new GgufError(`metadata key ${index} at byte ${at} is empty`, "key", at);
    if (this.#metadata.has(key)) {
      throw new GgufError(`duplicate metadata key ${key} at byte ${at}`, key, at);
    }
    const typeAt = cursor.offset;
    const number = cursor.u32(`type of ${key}`);
    const type = valueTypes[number];
    if (type === undefined) {
      throw new GgufError(`${key} at byte ${typeAt} has the invalid type ${number}`, key, typeAt);
    }
    const offset = cursor.offset;
    if (type === "array") {
      const value = this.#array(key);
      this.#metadata.set(key, { type, value, offset, end: cursor.offset });
    } else {
      const value = readScalar(cursor, type, key);
      this.#metadata.set(key, { type, value, offset, end: cursor.offset });
    }
  }

  #array(key: string): GgufArray {
    const cursor = this.#cursor;
    const at = cursor.offset;
    const number = cursor.u32(`array type of ${key}`);
    const type: ValueType | undefined = valueTypes[number];
    if (type === undefined || type === "array") {
      const what = type === "array" ? "nested arrays" : `the invalid array type ${number}`;
      throw new GgufError(`${key} at byte ${at} has ${what}`, key, at);
    }
    const lengthAt = cursor.offset;
    const length = cursor.u64(`array length of ${key}`);
    const smallest = type === "string" ? 8 : scalarBytes[type];
    if (length > BigInt(longestArray) || length * BigInt(smallest) > BigInt(cursor.left)) {
      throw new GgufError(
        `array length ${length} of ${key} at byte ${lengthAt} is more than the file can hold`,
        key,
        lengthAt,
      );
    }
    const offset = cursor.offset;
    const count = Number(length);
    if (type === "string") {
      for (let i = 0; i < count; i++) cursor.skip(cursor.stringLength(key), key);
    } else {
      cursor.skip(count * scalarBytes[type], key);
    }
    return { type, length: count, offset };
  }

  #alignment(): number {
    const found = this.#metadata.get("general.alignment");
    if (found === undefined) return 32;
    const value = found.type === "uint32" ? Number(found.value) : 0;
    if (value === 0 || (value & (value - 1)) !== 0 || value > 2 ** 24) {
      throw new GgufError(
        `general.alignment at byte ${found.offset} must be a uint32 power of two`,
        "general.alignment",
        found.offset,
      );
    }
    return value;
  }

  #tensor(index: number, names: Set<string>, alignment: number): GgufTensor {
    const cursor = this.#cursor;
    const start = cursor.offset;
    const name = cursor.string(`name of tensor ${index}`, true);
    if (names.has(name)) {
      throw new GgufError(`duplicate tensor name "${name}" at byte ${start}`, name, start);
    }
    names.add(name);
    const { shape, elements, shapeAt } = this.#shape(name);
    const typeAt = cursor.offset;
    const number = cursor.u32(`type of tensor "${name}"`);
    const type = tensorTypes[number];
    if (type === undefined) {
      throw new GgufError(
        `tensor "${name}" at byte ${typeAt} has the unknown type ${number}`,
        name,
        typeAt,
      );
    }
    if ((shape[0] ?? 0) % type.block !== 0) {
      throw new GgufError(
        `tensor "${name}" at byte ${shapeAt}: rows of ${shape[0]} elements are no whole blocks of ${type.name}`,
        name,
        shapeAt,
      );
    }
    const offset = this.#tensorOffset(name, alignment);
    const bytes = (elements / type.block) * type.bytes;
    return { name, type, shape, elements, offset, bytes };
  }

  /** Sizes of a tensor, innermost first, and their product, which is exact. */
  #shape(name: string): { shape: number[]; elements: number; shapeAt: number } {
    const cursor = this.#cursor;
    const dimensionsAt = cursor.offset;
    const dimensions = cursor.u32(`dimensions of tensor "${name}"`);
    if (dimensions < 1 || dimensions > mostDimensions) {
      throw new GgufError(
        `tensor "${name}" at byte ${dimensionsAt} has ${dimensions} dimensions; 1 to ${mostDimensions} are allowed`,
        name,
        dimensionsAt,
      );
    }
    const shapeAt = cursor.offset;
    const shape: number[] = [];
    let elements = 1n;
    for (let i = 0; i < dimensions; i++) {
      const size = cursor.u64(`shape of tensor "${name}"`);
      elements *= size;
      if (size === 0n || elements > 2n ** 53n) {
        const what = size === 0n ? "is zero" : "overflows";
        throw new GgufError(
          `tensor "${name}" at byte ${shapeAt}: the size of dimension ${i} ${what}`,
          name,
          shapeAt,
        );
      }
      shape.push(Number(size));
    }
    return { shape, elements: Number(elements), shapeAt };
  }

  /** Where a tensor's bytes begin, from the start of the data. */
  #tensorOffset(name: string, alignment: number): number {
    const cursor = this.#cursor;
    const offsetAt = cursor.offset;
    const offset = cursor.u64(`offset of tensor "${name}"`);
    if (offset > 2n ** 53n) {
      throw new GgufError(
        `tensor "${name}" offset ${offset} at byte ${offsetAt} overflows`,
        name,
        offsetAt,
      );
    }
    if (offset % BigInt(alignment) !== 0n) {
      throw new GgufError(
        `tensor "${name}" offset ${offset} at byte ${offsetAt} does not keep the alignment of ${alignment}`,
        name,
        offsetAt,
      );
    }
    return Number(offset);
  }

  #fits(tensor: GgufTensor, dataOffset: number): void {
    const end = dataOffset + tensor.offset + tensor.bytes;
    if (end <= this.#cursor.size) return;
    throw new GgufError(
      `tensor "${tensor.name}" offset+size (${end}) exceeds file size (${this.#cursor.size})`,
      tensor.name,
      dataOffset + tensor.offset,
    );
  }
}

function readScalar(cursor: Cursor, type: ScalarType | "string", field: string): GgufScalar {
  if (type === "string") return cursor.string(field, false);
  return scalarAt(cursor.bytes(scalarBytes[type], field), 0, type);
}

function scalarAt(bytes: Buffer, at: number, type: ScalarType): GgufScalar {
  switch (type) {
    case "uint8":
      return bytes.readUInt8(at);
    case "int8":
      return bytes.readInt8(at);
    case "uint16":
      return bytes.readUInt16LE(at);
    case "int16":
      return bytes.readInt16LE(at);
    case "uint32":
      return bytes.readUInt32LE(at);
    case "int32":
      return bytes.readInt32LE(at);
    case "float32":
      return bytes.readFloatLE(at);
    case "bool":
      return bytes.readUInt8(at) !== 0;
    case "uint64":
      return small(bytes.readBigUInt64LE(at));
    case "int64":
      return small(bytes.readBigInt64LE(at));
    case "float64":
      return bytes.readDoubleLE(at);
  }
}

/** A number where it is exact, else a bigint. */
function small(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/**
 * Elements of an array, read from the file.
 * @param most elements at most
 */
export function readArray(path: string, array: GgufArray, most = array.length): GgufScalar[] {
  const cursor = new Cursor(path);
  try {
    cursor.offset = array.offset;
    const count = Math.min(most, array.length);
    const values: GgufScalar[] = [];
    for (let i = 0; i < count; i++) values.push(readScalar(cursor, array.type, "array"));
    return values;
  } finally {
    cursor.close();
  }
}
