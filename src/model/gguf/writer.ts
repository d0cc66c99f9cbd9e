/**
 * Writes GGUF files (version 3) as a stream: header, metadata and tensor table first, then each
 * tensor's bytes as its source gives them. Holds one piece at a time, so a file of any size takes a few
 * megabytes. Sources must give exactly the bytes that their type and shape need.
 */
import { GgufError } from "../../errors.ts";
import { type ScalarType, scalarBytes, tensorTypes, valueTypes } from "./types.ts";

/** A value of metadata to be written. */
export type WriteValue =
  | { readonly type: ScalarType; readonly value: number | bigint | boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "array"; readonly of: ScalarType; readonly values: ArrayLike<number> }
  /** Texts, or their UTF-8 bytes: tokens need not be text. */
  | { readonly type: "array"; readonly of: "string"; readonly values: readonly Text[] }
  /** Bytes of a value as another GGUF holds them. */
  | { readonly type: "copy"; readonly of: number; readonly bytes: Uint8Array };

type Text = string | Uint8Array;

export interface WriteTensor {
  readonly name: string;
  /** Number of the type in `tensorTypes`. */
  readonly type: number;
  /** Elements per dimension, innermost first. */
  readonly shape: readonly number[];
  /** The tensor's bytes, in pieces. Called once. */
  data(): Iterable<Uint8Array>;
}

export interface GgufPlan {
  /** Pairs in the order of the file. */
  readonly metadata: readonly (readonly [key: string, value: WriteValue])[];
  readonly tensors: readonly WriteTensor[];
}

/** Takes bytes in order; must have used them when it returns, because pieces are reused. */
export interface ByteSink {
  write(bytes: Uint8Array): void;
}

const alignment = 32;
const encoder = new TextEncoder();

/** Without Buffer's methods: its slice() shares bytes where everybody expects a copy. */
function plain({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Gathers small values, so that the sink sees pieces of a useful size. */
class Gathered {
  readonly #sink: ByteSink;
  readonly #chunk = Buffer.alloc(1 << 20);
  #used = 0;
  /** Bytes written so far, those waiting included. */
  offset = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  bytes(bytes: Uint8Array): void {
    this.offset += bytes.length;
    if (bytes.length >= this.#chunk.length) {
      this.flush();
      this.#sink.write(plain(bytes));
      return;
    }
    if (this.#used + bytes.length > this.#chunk.length) this.flush();
    this.#chunk.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  scalar(type: ScalarType, value: number | bigint | boolean): void {
    const size = scalarBytes[type];
    if (this.#used + size > this.#chunk.length) this.flush();
    storeScalar(this.#chunk, this.#used, type, value);
    this.#used += size;
    this.offset += size;
  }

  text(text: Text): void {
    const bytes = typeof text === "string" ? encoder.encode(text) : text;
    this.scalar("uint64", bytes.length);
    this.bytes(bytes);
  }

  pad(): void {
    const rest = this.offset % alignment;
    if (rest > 0) this.bytes(new Uint8Array(alignment - rest));
  }

  flush(): void {
    if (this.#used > 0) this.#sink.write(plain(this.#chunk.subarray(0, this.#used)));
    this.#used = 0;
  }
}

function storeScalar(
  chunk: Buffer,
  at: number,
  type: ScalarType,
  value: number | bigint | boolean,
): void {
  switch (type) {
    case "uint8":
    case "bool":
      return void chunk.writeUInt8(Number(value), at);
    case "int8":
      return void chunk.writeInt8(Number(value), at);
    case "uint16":
      return void chunk.writeUInt16LE(Number(value), at);
    case "int16":
      return void chunk.writeInt16LE(Number(value), at);
    case "uint32":
      return void chunk.writeUInt32LE(Number(value), at);
    case "int32":
      return void chunk.writeInt32LE(Number(value), at);
    case "float32":
      return void chunk.writeFloatLE(Number(value), at);
    case "float64":
      return void chunk.writeDoubleLE(Number(value), at);
    case "uint64":
      return void chunk.writeBigUInt64LE(BigInt(value), at);
    case "int64":
      return void chunk.writeBigInt64LE(BigInt(value), at);
  }
}

function writeValue(out: Gathered, value: WriteValue): void {
  if (value.type === "copy") {
    out.scalar("uint32", value.of);
    out.bytes(value.bytes);
    return;
  }
  out.scalar("uint32", valueTypes.indexOf(value.type));
  if (value.type === "string") out.text(value.value);
  else if (value.type !== "array") out.scalar(value.type, value.value);
  else {
    out.scalar("uint32", valueTypes.indexOf(value.of));
    out.scalar("uint64", value.values.length);
    if (value.of === "string") for (const text of value.values) out.text(text);
    else for (let i = 0; i < value.values.length; i++) out.scalar(value.of, value.values[i] ?? 0);
  }
}

/** Bytes that a tensor takes, without padding. @throws GgufError for types and shapes that do not go together */
export function tensorBytes({ name, type, shape }: Omit<WriteTensor, "data">): number {
  const kind = tensorTypes[type];
  const elements = shape.reduce((product, size) => product * size, 1);
  if (kind === undefined || (shape[0] ?? 0) % kind.block !== 0 || !Number.isSafeInteger(elements)) {
    throw new GgufError(`write tensor "${name}": type ${type} cannot hold [${shape}]`, name, 0);
  }
  return (elements / kind.block) * kind.bytes;
}

/**
 * Writes a whole file.
 * @throws GgufError when a source gives more or fewer bytes than its shape needs; what sources and sink throw
 */
export function writeGguf(sink: ByteSink, { metadata, tensors }: GgufPlan): void {
  const out = new Gathered(sink);
  out.bytes(encoder.encode("GGUF"));
  out.scalar("uint32", 3);
  out.scalar("uint64", tensors.length);
  out.scalar("uint64", metadata.length);
  for (const [key, value] of metadata) {
    out.text(key);
    writeValue(out, value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    out.text(tensor.name);
    out.scalar("uint32", tensor.shape.length);
    for (const size of tensor.shape) out.scalar("uint64", size);
    out.scalar("uint32", tensor.type);
    out.scalar("uint64", offset);
    offset += Math.ceil(tensorBytes(tensor) / alignment) * alignment;
  }
  out.pad();
  for (const tensor of tensors) {
    const start = out.offset;
    for (const piece of tensor.data()) out.bytes(piece);
    const written = out.offset - start;
    if (written !== tensorBytes(tensor)) {
      throw new GgufError(
        `write tensor "${tensor.name}": ${written} bytes came, ${tensorBytes(tensor)} were announced`,
        tensor.name,
        start,
      );
    }
    out.pad();
  }
  out.flush();
}
