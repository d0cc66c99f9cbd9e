/**
 * Makes a model to measure with: a llama of about 110 million seeded random weights in Q8_0, with the
 * vocabulary of Llama 2 from the vendored llama.cpp tree. Its text is nonsense, its speed is that of
 * any model of this shape, and it never ends by itself: `bun bench/model.ts OUT.gguf [--small | --large]
 * [--f16] [--embeds] [--chain] [--vocab FILE]`; `--small` is one of 15 million, `--large` one of a thousand
 * million for GPUs, `--f16` one to quantise,
 * `--embeds` one that makes embeddings (the mean of its tokens), `--chain` one that lets every word be
 * followed by the next of the vocabulary, so that its own past, and others of its kind, foretell it.
 */
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readBuildEnvironment } from "../scripts/build/environment.ts";

const { values, positionals } = parseArgs({
  options: {
    vocab: { type: "string" },
    small: { type: "boolean" },
    large: { type: "boolean" },
    f16: { type: "boolean" },
    embeds: { type: "boolean" },
    chain: { type: "boolean" },
  },
  allowPositionals: true,
});
const shape = values.small
  ? { width: 288, layers: 6, heads: 6, headsKv: 6, inner: 768, context: 2048 }
  : values.large
    ? { width: 2048, layers: 22, heads: 32, headsKv: 4, inner: 5632, context: 8192 }
    : { width: 768, layers: 12, heads: 12, headsKv: 4, inner: 2048, context: 8192 };
const endToken = 2;
/** Of matrices: number of the type, of the file type, and bytes of 32 weights. */
const format = values.f16
  ? { type: 1, fileType: 1, blockBytes: 64 }
  : { type: 8, fileType: 7, blockBytes: 34 };
const { blockBytes } = format;

const valueSizes: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};

/** The metadata entries of a vocabulary file whose keys begin with `tokenizer.`, as bytes. */
function tokenizerEntries(file: Buffer): { bytes: Buffer[]; tokens: number; words: number[] } {
  let at = 16;
  const u64 = (): number => {
    at += 8;
    return Number(file.readBigUInt64LE(at - 8));
  };
  const u32 = (): number => {
    at += 4;
    return file.readUInt32LE(at - 4);
  };
  const text = (): string => {
    const length = u64();
    at += length;
    return file.toString("utf8", at - length, at);
  };
  const skip = (type: number, count: number): void => {
    if (type === 8) for (let i = 0; i < count; i++) text();
    else at += (valueSizes[type] ?? Number.NaN) * count;
  };
  const bytes: Buffer[] = [];
  let tokens = 0;
  const words: number[] = [];
  for (let left = u64(); left > 0; left--) {
    const start = at;
    const key = text();
    const type = u32();
    if (type === 9) {
      const inner = u32();
      const count = u64();
      if (key === "tokenizer.ggml.tokens") {
        tokens = count;
        for (let id = 0; id < count; id++) if (/^▁[a-z]{3,}$/.test(text())) words.push(id);
      } else skip(inner, count);
    } else skip(type, 1);
    if (key.startsWith("tokenizer.")) bytes.push(file.subarray(start, at));
  }
  return { bytes, tokens, words };
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function f32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function metadata(): Buffer[] {
  const numbers = {
    context_length: shape.context,
    embedding_length: shape.width,
    block_count: shape.layers,
    feed_forward_length: shape.inner,
    "attention.head_count": shape.heads,
    "attention.head_count_kv": shape.headsKv,
    "rope.dimension_count": shape.width / shape.heads,
    ...(values.embeds ? { pooling_type: 1 } : {}),
  };
  return [
    Buffer.concat([text("general.architecture"), u32(8), text("llama")]),
    Buffer.concat([text("general.name"), u32(8), text("bench")]),
    Buffer.concat([text("general.file_type"), u32(4), u32(format.fileType)]),
    Buffer.concat([text("llama.attention.layer_norm_rms_epsilon"), u32(6), f32(1e-5)]),
    ...Object.entries(numbers).map(([key, value]) =>
      Buffer.concat([text(`llama.${key}`), u32(4), u32(value)]),
    ),
  ];
}

interface Tensor {
  readonly name: string;
  readonly columns: number;
  /** 0 = a vector of ones in F32. */
  readonly rows: number;
}

function tensors(vocabulary: number): Tensor[] {
  const { width, layers, heads, headsKv, inner } = shape;
  const keys = (width / heads) * headsKv;
  const list: Tensor[] = [{ name: "token_embd.weight", columns: width, rows: vocabulary }];
  for (let layer = 0; layer < layers; layer++) {
    const add = (name: string, columns: number, rows: number) =>
      list.push({ name: `blk.${layer}.${name}.weight`, columns, rows });
    add("attn_norm", width, 0);
    add("attn_q", width, width);
    add("attn_k", width, keys);
    add("attn_v", width, keys);
    add("attn_output", width, width);
    add("ffn_norm", width, 0);
    add("ffn_gate", width, inner);
    add("ffn_up", width, inner);
    add("ffn_down", inner, width);
  }
  list.push({ name: "output_norm.weight", columns: width, rows: 0 });
  if (values.chain) list.push({ name: "output.weight", columns: width, rows: vocabulary });
  return list;
}

const tensorBytes = ({ columns, rows }: Tensor): number =>
  rows === 0 ? columns * 4 : ((columns * rows) / 32) * blockBytes;

/** Blocks with values of a spread of about 0.02, the same for the same seed. */
function randomBlocks(count: number): Buffer {
  const blocks = Buffer.alloc(count * blockBytes);
  let state = 42;
  for (let at = 0; at < blocks.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    blocks[at] = state >>> 24;
  }
  if (values.f16) {
    // Sign and mantissa at random, the exponent that of 0.016 to 0.03.
    for (let at = 1; at < blocks.length; at += 2) blocks[at] = 0x24 | ((blocks[at] ?? 0) & 0x83);
    return blocks;
  }
  // 0x0c7b as half precision is about 0.000274: 0.02 over the spread of a byte.
  for (let block = 0; block < count; block++) blocks.writeUInt16LE(0x0c7b, block * blockBytes);
  return blocks;
}

function vocabularyFile(): string {
  const sources = join(readBuildEnvironment().cache, "source");
  const name = "models/ggml-vocab-llama-spm.gguf";
  const [folder] = readdirSync(sources);
  return join(sources, folder ?? "", name);
}

const [output] = positionals;
if (output === undefined) {
  console.error(
    "usage: bun bench/model.ts OUT.gguf [--small | --large] [--f16 | --embeds | --chain] [--vocab FILE.gguf]",
  );
  process.exit(2);
}
const vocabulary = tokenizerEntries(readFileSync(values.vocab ?? vocabularyFile()));
const entries = [...metadata(), ...vocabulary.bytes];
const list = tensors(vocabulary.tokens);
const padded = (bytes: number) => Math.ceil(bytes / 32) * 32;
const infos: Buffer[] = [];
let offset = 0;
for (const tensor of list) {
  const { name, columns, rows } = tensor;
  const dimensions = rows === 0 ? [columns] : [columns, rows];
  const type = rows === 0 ? 0 : format.type;
  infos.push(
    Buffer.concat([text(name), u32(dimensions.length), ...dimensions.map(u64), u32(type)]),
    u64(offset),
  );
  offset += padded(tensorBytes(tensor));
}
const head = Buffer.concat([
  Buffer.from("GGUF"),
  u32(3),
  u64(list.length),
  u64(entries.length),
  ...entries,
  ...infos,
]);
const file = openSync(output, "w");
writeSync(file, head);
writeSync(file, Buffer.alloc(padded(head.length) - head.length));
const pool = randomBlocks(1 << 16);
/** Of a chain: no two tokens are alike, the layers add nothing, and the scores of a word are its forerunner's. */
const embedding = values.chain ? randomBlocks((vocabulary.tokens * shape.width) / 32) : undefined;
const silent = /attn_output|ffn_down/;
for (const tensor of list) {
  const bytes = tensorBytes(tensor);
  const data = Buffer.alloc(padded(bytes));
  if (tensor.rows === 0) for (let i = 0; i < tensor.columns; i++) data.writeFloatLE(1, i * 4);
  else for (let at = 0; at < bytes; at += pool.length) pool.copy(data, at, 0, bytes - at);
  const row = (tensor.columns / 32) * blockBytes;
  if (tensor.name === "token_embd.weight") {
    embedding?.copy(data);
    // The end token's row is zero, so that it is never the likeliest.
    data.fill(0, endToken * row, (endToken + 1) * row);
  } else if (tensor.name === "output.weight") {
    data.fill(0);
    vocabulary.words.forEach((word, i) => {
      const before = vocabulary.words.at(i - 1) ?? 0;
      embedding?.copy(data, word * row, before * row, (before + 1) * row);
    });
  } else if (values.chain && silent.test(tensor.name)) data.fill(0);
  writeSync(file, data);
}
closeSync(file);
const parameters = list.reduce((sum, { columns, rows }) => sum + columns * Math.max(1, rows), 0);
console.log(`${output}: ${(parameters / 1e6).toFixed(1)} million parameters`);
