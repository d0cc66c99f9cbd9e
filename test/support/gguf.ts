/** Writes small GGUF files for tests that need a stored model but no real weights (GGUF version 3). */

type Value = string | number | boolean | readonly string[];

export interface GgufContent {
  /** Whole numbers become uint32. */
  readonly metadata?: Readonly<Record<string, Value>>;
  /** F32 tensors: name → shape. */
  readonly tensors?: Readonly<Record<string, readonly number[]>>;
}

class Writer {
  readonly #parts: Uint8Array[] = [];
  length = 0;

  bytes(part: Uint8Array): void {
    this.#parts.push(part);
    this.length += part.length;
  }

  u32(value: number): void {
    const part = new Uint8Array(4);
    new DataView(part.buffer).setUint32(0, value, true);
    this.bytes(part);
  }

  u64(value: number): void {
    const part = new Uint8Array(8);
    new DataView(part.buffer).setBigUint64(0, BigInt(value), true);
    this.bytes(part);
  }

  text(value: string): void {
    const part = new TextEncoder().encode(value);
    this.u64(part.length);
    this.bytes(part);
  }

  pad(alignment: number): void {
    const rest = this.length % alignment;
    if (rest > 0) this.bytes(new Uint8Array(alignment - rest));
  }

  value(value: Value): void {
    if (typeof value === "string") {
      this.u32(8);
      this.text(value);
    } else if (typeof value === "boolean") {
      this.u32(7);
      this.bytes(Uint8Array.of(value ? 1 : 0));
    } else if (typeof value === "number") {
      this.u32(4);
      this.u32(value);
    } else {
      this.u32(9);
      this.u32(8);
      this.u64(value.length);
      for (const item of value) this.text(item);
    }
  }

  result(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

/** What a llama-architecture model of one layer says about itself. */
export const tinyLlama: Readonly<Record<string, Value>> = {
  "general.architecture": "llama",
  "llama.context_length": 2048,
  "llama.embedding_length": 8,
  "llama.block_count": 1,
  "llama.attention.head_count": 2,
};

/** Bytes of a GGUF; without arguments a model that every check accepts and no engine would like. */
export function ggufBytes(content: GgufContent = {}): Uint8Array {
  const metadata = Object.entries({ ...tinyLlama, ...content.metadata });
  const tensors = Object.entries(content.tensors ?? { "token_embd.weight": [8, 4] });
  const writer = new Writer();
  writer.bytes(new TextEncoder().encode("GGUF"));
  writer.u32(3);
  writer.u64(tensors.length);
  writer.u64(metadata.length);
  for (const [key, value] of metadata) {
    writer.text(key);
    writer.value(value);
  }
  let offset = 0;
  for (const [name, shape] of tensors) {
    writer.text(name);
    writer.u32(shape.length);
    for (const size of shape) writer.u64(size);
    writer.u32(0);
    writer.u64(offset);
    const bytes = shape.reduce((product, size) => product * size, 4);
    offset += Math.ceil(bytes / 32) * 32;
  }
  writer.pad(32);
  writer.bytes(new Uint8Array(offset));
  return writer.result();
}
