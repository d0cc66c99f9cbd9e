/**
 * Reads the tables of safetensors files. Trusts nothing: header length, shapes and offsets are held
 * against the file's size before anything is allocated, and errors name file, tensor and byte.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { ConvertError, errorMessage } from "../../errors.ts";
import { isObject, type SourceFiles } from "./source.ts";

/** Bytes of an element. */
export const dtypeBytes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;
export type Dtype = keyof typeof dtypeBytes;

export interface SourceTensor {
  readonly name: string;
  readonly dtype: Dtype;
  /** Sizes, outermost first. */
  readonly shape: readonly number[];
  /** Absolute path of the file. */
  readonly path: string;
  /** File offset of the first byte. */
  readonly offset: number;
  readonly bytes: number;
}

/** Longest header that the format allows. */
const longestHeader = 100_000_000;

/** @throws ConvertError naming the file, and where possible tensor and byte */
export function readSafetensors(file: string, path: string): SourceTensor[] {
  const { header, dataOffset, dataBytes } = readHeader(file, path);
  const tensors: SourceTensor[] = [];
  let sum = 0;
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const tensor = checkEntry(file, name, entry, dataBytes);
    sum += tensor.bytes;
    tensors.push({ ...tensor, path, offset: dataOffset + tensor.offset });
  }
  if (sum > dataBytes) {
    throw new ConvertError(`${file}: tensors of ${sum} bytes overlap in ${dataBytes} bytes`);
  }
  return tensors;
}

function readHeader(file: string, path: string) {
  const handle = openSync(path, "r");
  try {
    const stat = fstatSync(handle);
    if (!stat.isFile()) throw new ConvertError(`${file}: not a regular file`);
    const length = Buffer.alloc(8);
    if (readSync(handle, length, 0, 8, 0) < 8) {
      throw new ConvertError(`${file}: unexpected EOF in the header length at byte 0`);
    }
    const headerBytes = length.readBigUInt64LE();
    if (headerBytes > BigInt(longestHeader) || headerBytes > BigInt(stat.size - 8)) {
      throw new ConvertError(
        `${file}: header length ${headerBytes} at byte 0 is more than the file holds (${stat.size} bytes); not a safetensors file, or cut short (unexpected EOF)`,
      );
    }
    const size = Number(headerBytes);
    const text = Buffer.alloc(size);
    if (readSync(handle, text, 0, size, 8) < size) {
      throw new ConvertError(`${file}: unexpected EOF in the header at byte 8`);
    }
    return {
      header: parseHeader(file, text),
      dataOffset: 8 + size,
      dataBytes: stat.size - 8 - size,
    };
  } finally {
    closeSync(handle);
  }
}

function parseHeader(file: string, text: Buffer): Readonly<Record<string, unknown>> {
  let header: unknown;
  try {
    header = JSON.parse(text.toString("utf8"));
  } catch (cause) {
    throw new ConvertError(`${file}: the header at byte 8 is no JSON: ${errorMessage(cause)}`, {
      cause,
    });
  }
  if (!isObject(header)) throw new ConvertError(`${file}: the header at byte 8 is no JSON object`);
  return header;
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** A tensor with its offset from the start of the data. */
function checkEntry(file: string, name: string, entry: unknown, dataBytes: number) {
  const fail = (why: string): never => {
    throw new ConvertError(`tensor "${name}" of ${file}: ${why}`);
  };
  if (!isObject(entry)) return fail("its entry is no JSON object");
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string" || !(dtype in dtypeBytes)) {
    return fail(`dtype ${JSON.stringify(dtype)} is not supported`);
  }
  if (!Array.isArray(shape) || shape.length > 8 || !shape.every(isWhole)) {
    return fail("shape must be a list of whole numbers");
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isWhole)) {
    return fail("data_offsets must be two whole numbers");
  }
  const [start, end] = offsets as [number, number];
  if (start > end || end > dataBytes) {
    return fail(
      `data_offsets [${start}, ${end}]: offset+size (${end}) exceeds file size (${dataBytes} bytes of data)`,
    );
  }
  const elements = (shape as number[]).reduce((product, size) => product * size, 1);
  const bytes = elements * dtypeBytes[dtype as Dtype];
  if (bytes !== end - start) {
    return fail(`shape [${shape}] needs ${bytes} bytes, data_offsets hold ${end - start}`);
  }
  return { name, dtype: dtype as Dtype, shape: shape as number[], offset: start, bytes };
}

/**
 * All tensors of a model, by name. Shards must be complete: as the index names them, or as their file
 * names count them.
 * @throws ConvertError
 */
export function readTensors(files: SourceFiles, weights: readonly string[]) {
  checkShards(files, weights);
  const tensors = new Map<string, SourceTensor>();
  for (const file of weights) {
    for (const tensor of readSafetensors(file, files.path(file))) {
      if (tensors.has(tensor.name)) {
        throw new ConvertError(`duplicate tensor name '${tensor.name}' was found for this model`);
      }
      tensors.set(tensor.name, tensor);
    }
  }
  const index = files.optional(indexName)?.weight_map;
  const lost = isObject(index) ? Object.keys(index).find((name) => !tensors.has(name)) : undefined;
  if (lost !== undefined) {
    throw new ConvertError(`tensor "${lost}" is in ${indexName}, but in none of the files`);
  }
  return tensors;
}

const indexName = "model.safetensors.index.json";

function checkShards(files: SourceFiles, weights: readonly string[]): void {
  const wanted = new Set<string>();
  const map = files.optional(indexName)?.weight_map;
  if (isObject(map)) for (const file of Object.values(map)) wanted.add(String(file));
  for (const file of weights) {
    const [, prefix, digits] = /^(.*-)\d{5}-of-(\d{5})\.safetensors$/.exec(file) ?? [];
    const count = Number(digits ?? 0);
    for (let i = 1; i <= Math.min(count, weights.length + 1); i++) {
      wanted.add(`${prefix}${String(i).padStart(5, "0")}-of-${digits}.safetensors`);
    }
  }
  const missing = [...wanted].sort().filter((file) => !weights.includes(file));
  if (missing.length > 0) throw new ConvertError(`missing shard ${missing.join(", ")}`);
}
