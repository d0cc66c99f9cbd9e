/** Writes small safetensors files and Hugging Face folders for tests of the converter. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

export interface TestTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Numbers that differ from each other, the same ones at every run. */
export function numbers(count: number, seed = 1): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 2;
  });
}

/** A float32 tensor. */
export function f32(shape: readonly number[], seed = 1): TestTensor {
  const values = numbers(
    shape.reduce((product, size) => product * size, 1),
    seed,
  );
  return { dtype: "F32", shape, bytes: new Uint8Array(values.buffer) };
}

export function safetensorsBytes(
  tensors: Readonly<Record<string, TestTensor>>,
  change: (header: Record<string, unknown>) => void = () => {},
): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let at = 0;
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
  }
  change(header);
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...Object.values(tensors).map(({ bytes }) => bytes)]);
}

/** Writes files below a folder; objects as JSON. Returns name → path. */
export function writeFolder(
  folder: string,
  files: Readonly<Record<string, unknown>>,
): Record<string, string> {
  const paths: Record<string, string> = {};
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content instanceof Uint8Array ? content : JSON.stringify(content));
    paths[name] = path;
  }
  return paths;
}

const width = 16;
const vocabulary = 24;

/** Files of a byte-level BPE tokenizer with as many tokens as the models below. */
export const tokenizerFiles: Readonly<Record<string, unknown>> = {
  "tokenizer.json": {
    added_tokens: [
      { id: 20, content: "<s>", special: true },
      { id: 21, content: "</s>", special: true },
      { id: 22, content: "<tool>", special: false },
    ],
    pre_tokenizer: { type: "ByteLevel", use_regex: true },
    model: {
      type: "BPE",
      vocab: Object.fromEntries([..."abcdefghijklmnopqrst"].map((letter, id) => [letter, id])),
      merges: ["a b", ["c", "d"]],
    },
  },
  "tokenizer_config.json": {
    bos_token: "<s>",
    eos_token: { content: "</s>" },
    add_bos_token: true,
  },
};

/** Weights of a decoder with `layers` layers of 4 heads (2 for keys), each head 4 wide. */
export function decoderTensors(layers = 1): Record<string, TestTensor> {
  const tensors: Record<string, TestTensor> = {
    "model.embed_tokens.weight": f32([vocabulary, width], 1),
    "model.norm.weight": f32([width], 2),
  };
  for (let layer = 0; layer < layers; layer++) {
    const place = `model.layers.${layer}.`;
    const shapes: Record<string, number[]> = {
      "input_layernorm.weight": [width],
      "post_attention_layernorm.weight": [width],
      "self_attn.q_proj.weight": [width, width],
      "self_attn.k_proj.weight": [width / 2, width],
      "self_attn.v_proj.weight": [width / 2, width],
      "self_attn.o_proj.weight": [width, width],
      "mlp.gate_proj.weight": [32, width],
      "mlp.up_proj.weight": [32, width],
      "mlp.down_proj.weight": [width, 32],
    };
    for (const [i, [name, shape]] of Object.entries(shapes).entries()) {
      tensors[place + name] = f32(shape, 10 + layer * 16 + i);
    }
  }
  return tensors;
}

/** `config.json` of these weights. */
export function decoderConfig(
  architecture: string,
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    architectures: [architecture],
    hidden_size: width,
    intermediate_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    max_position_embeddings: 64,
    vocab_size: vocabulary,
    ...more,
  };
}
