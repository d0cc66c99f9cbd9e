/**
 * Shards of one model as one file. libllama finds shards by their names beside the first one; blobs are
 * named by digest, and a model is one layer in Ollama's store. So shards are merged when a model is
 * made: every later user of the store, Ollama included, finds a plain file. Order of keys and tensors
 * is that of llama.cpp's own tool.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { GgufError } from "../../errors.ts";
import { type GgufHead, type GgufTensor, type GgufValue, readGguf } from "./reader.ts";
import { tensorTypes, valueTypes } from "./types.ts";
import { type ByteSink, type WriteTensor, type WriteValue, writeGguf } from "./writer.ts";

/** Keys that speak of shards or of the layout of one file. */
const dropped = /^split\.|^general\.alignment$/;
/** Keys that llama.cpp's tool writes last. */
const last = ["general.quantization_version", "general.file_type"];

const pieceBytes = 4 * 2 ** 20;

function* bytesOf(path: string, offset: number, count: number): Generator<Uint8Array> {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(Math.min(count, pieceBytes));
    for (let at = 0; at < count; ) {
      const got = readSync(file, buffer, 0, Math.min(buffer.length, count - at), offset + at);
      if (got === 0) throw new GgufError(`read ${path}: the file became shorter`, "file", offset);
      at += got;
      yield buffer.subarray(0, got);
    }
  } finally {
    closeSync(file);
  }
}

function copied(head: GgufHead, { type, offset, end }: GgufValue): WriteValue {
  // Copied one by one: the buffer is reused for the next piece.
  const pieces = Array.from(bytesOf(head.path, offset, end - offset), (b) => new Uint8Array(b));
  const bytes = Buffer.concat(pieces);
  return { type: "copy", of: valueTypes.indexOf(type), bytes };
}

function moved(head: GgufHead, { name, type, shape, offset, bytes }: GgufTensor): WriteTensor {
  const number = Object.entries(tensorTypes).find(([, known]) => known === type)?.[0];
  return {
    name,
    type: Number(number),
    shape,
    data: () => bytesOf(head.path, head.dataOffset + offset, bytes),
  };
}

function rank(key: string): number {
  return last.indexOf(key);
}

/** Tensors outside of layers first, by name; then layer by layer. */
export function byPlace(a: { readonly name: string }, b: { readonly name: string }): number {
  const block = (name: string) => Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1);
  return block(a.name) - block(b.name) || (a.name < b.name ? -1 : 1);
}

/**
 * @param shards paths in order; the first has the metadata
 * @throws GgufError for damaged shards, and tensors that are missing or there twice
 */
export function mergeShards(shards: readonly string[], sink: ByteSink): void {
  const heads = shards.map(readGguf);
  const [first] = heads;
  if (first === undefined) throw new GgufError("no shards to merge", "split.count", 0);
  const tensors = heads.flatMap((head) => head.tensors.map((tensor) => moved(head, tensor)));
  const names = new Set<string>();
  for (const { name } of tensors) {
    if (names.has(name)) {
      throw new GgufError(`duplicate tensor name "${name}" in two shards`, name, 0);
    }
    names.add(name);
  }
  const announced = first.metadata.get("split.tensors.count");
  if (announced !== undefined && Number(announced.value) !== tensors.length) {
    throw new GgufError(
      `split.tensors.count at byte ${announced.offset} is ${announced.value}, the shards have ${tensors.length} tensors`,
      "split.tensors.count",
      announced.offset,
    );
  }
  const metadata = [...first.metadata]
    .filter(([key]) => !dropped.test(key))
    .map(([key, value]) => [key, copied(first, value)] as const)
    .sort(([a], [b]) => rank(a) - rank(b));
  writeGguf(sink, { metadata, tensors: tensors.sort(byPlace) });
}
