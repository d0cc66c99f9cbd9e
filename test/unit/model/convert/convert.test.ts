/** Conversion of small models of each kind; the bytes themselves are held against recorded files elsewhere. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConvertError } from "../../../../src/errors.ts";
import { supportedClasses } from "../../../../src/model/convert/architectures/table.ts";
import { convertModel } from "../../../../src/model/convert/convert.ts";
import { toFloats } from "../../../../src/model/convert/numbers.ts";
import { checkGguf } from "../../../../src/model/gguf/check.ts";
import { type GgufHead, readArray } from "../../../../src/model/gguf/reader.ts";
import {
  decoderConfig,
  decoderTensors,
  f32,
  numbers,
  safetensorsBytes,
  type TestTensor,
  tokenizerFiles,
  writeFolder,
} from "../../../support/safetensors.ts";

const folder = mkdtempSync(join(tmpdir(), "hutch-convert-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Input {
  readonly config: Record<string, unknown>;
  readonly tensors?: Record<string, TestTensor>;
  readonly files?: Readonly<Record<string, unknown>>;
}

function convert({ config, tensors = decoderTensors(), files = tokenizerFiles }: Input) {
  const paths = writeFolder(mkdtempSync(join(folder, "model-")), {
    "config.json": config,
    "model.safetensors": safetensorsBytes(tensors),
    ...files,
  });
  const parts: Uint8Array[] = [];
  const result = convertModel(paths, { write: (bytes) => void parts.push(bytes.slice()) });
  const path = join(folder, `${crypto.randomUUID()}.gguf`);
  writeFileSync(path, Buffer.concat(parts));
  const { head } = checkGguf(path);
  return { head, result, path };
}

function plain(head: GgufHead): Record<string, unknown> {
  return Object.fromEntries(
    [...head.metadata].map(([key, value]) => [
      key,
      value.type === "array" ? readArray(head.path, value.value) : value.value,
    ]),
  );
}

function valuesOf(head: GgufHead, name: string): number[] {
  const tensor = head.tensors.find((candidate) => candidate.name === name);
  if (tensor === undefined) throw new Error(`no tensor ${name}`);
  const start = head.dataOffset + tensor.offset;
  const bytes = readFileSync(head.path).subarray(start, start + tensor.bytes);
  return [...toFloats(bytes.slice(), tensor.type.name as "F32" | "F16" | "BF16")];
}

function near(actual: readonly number[], expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length);
  const worst = actual.map((value, i) => Math.abs(value - (expected[i] ?? 0)));
  expect(Math.max(...worst)).toBeLessThan(0.001);
}

/** Rows of a query matrix as llama.cpp wants them. */
function turned(values: Float32Array, heads: number, columns: number): number[] {
  const headRows = values.length / columns / heads;
  const out: number[] = [];
  for (let row = 0; row < heads * headRows; row++) {
    const inHead = row % headRows;
    const from = row - inHead + Math.floor(inHead / 2) + (inHead % 2) * (headRows / 2);
    out.push(...values.subarray(from * columns, (from + 1) * columns));
  }
  return out;
}

describe("converting a decoder", () => {
  test("llama: keys, names, types, rows of queries and keys turned", () => {
    const { head, result } = convert({ config: decoderConfig("LlamaForCausalLM") });
    expect(result).toEqual({ architecture: "llama", eightBit: false, sees: false, warnings: [] });
    expect(plain(head)).toMatchObject({
      "general.architecture": "llama",
      "llama.attention.head_count": 4,
      "llama.attention.head_count_kv": 2,
      "llama.block_count": 1,
      "llama.rope.dimension_count": 4,
      "llama.vocab_size": 24,
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.pre": "gpt-2",
      "tokenizer.ggml.bos_token_id": 20,
      "tokenizer.ggml.eos_token_id": 21,
      "tokenizer.ggml.add_bos_token": true,
      "tokenizer.ggml.merges": ["a b", "c d"],
      "general.file_type": 1,
    });
    expect(plain(head)["tokenizer.ggml.tokens"]).toEqual([
      ..."abcdefghijklmnopqrst",
      "<s>",
      "</s>",
      "<tool>",
      "[PAD0]",
    ]);
    expect(head.tensors.map(({ name, type, shape }) => `${name} ${type.name} ${shape}`)).toEqual([
      "output_norm.weight F32 16",
      "token_embd.weight F16 16,24",
      "blk.0.attn_k.weight F16 16,8",
      "blk.0.attn_norm.weight F32 16",
      "blk.0.attn_output.weight F16 16,16",
      "blk.0.attn_q.weight F16 16,16",
      "blk.0.attn_v.weight F16 16,8",
      "blk.0.ffn_down.weight F16 32,16",
      "blk.0.ffn_gate.weight F16 16,32",
      "blk.0.ffn_norm.weight F32 16",
      "blk.0.ffn_up.weight F16 16,32",
    ]);
    near(valuesOf(head, "blk.0.attn_q.weight"), turned(numbers(256, 12), 4, 16));
    near(valuesOf(head, "blk.0.attn_k.weight"), turned(numbers(128, 13), 2, 16));
    near(valuesOf(head, "blk.0.attn_v.weight"), numbers(128, 14));
  });

  test("mistral is a llama; mixtral's experts are stacked in their order", () => {
    const tensors = decoderTensors();
    for (const part of ["gate_proj", "up_proj", "down_proj"]) {
      delete tensors[`model.layers.0.mlp.${part}.weight`];
    }
    for (let expert = 0; expert < 11; expert++) {
      const place = `model.layers.0.block_sparse_moe.experts.${expert}.`;
      tensors[`${place}w1.weight`] = f32([32, 16], 100 + expert);
      tensors[`${place}w2.weight`] = f32([16, 32], 200 + expert);
      tensors[`${place}w3.weight`] = f32([32, 16], 300 + expert);
    }
    tensors["model.layers.0.block_sparse_moe.gate.weight"] = f32([11, 16], 400);
    const { head } = convert({
      config: decoderConfig("MixtralForCausalLM", {
        num_local_experts: 11,
        num_experts_per_tok: 2,
      }),
      tensors,
    });
    expect(plain(head)).toMatchObject({ "llama.expert_count": 11, "llama.expert_used_count": 2 });
    const gate = head.tensors.find(({ name }) => name === "blk.0.ffn_gate_exps.weight");
    expect(gate?.shape).toEqual([16, 32, 11]);
    near(valuesOf(head, "blk.0.ffn_gate_exps.weight").slice(10 * 512), numbers(512, 110));
    expect(head.tensors.find(({ name }) => name === "blk.0.ffn_gate_inp.weight")?.type.name).toBe(
      "F32",
    );
    expect(convert({ config: decoderConfig("MistralForCausalLM") }).result.architecture).toBe(
      "llama",
    );
  });

  test("a missing expert is refused", () => {
    const tensors = decoderTensors();
    tensors["model.layers.0.block_sparse_moe.experts.1.w1.weight"] = f32([32, 16]);
    expect(() => convert({ config: decoderConfig("MixtralForCausalLM"), tensors })).toThrow(
      "expert 0 of 1 is missing",
    );
  });

  test("qwen keeps its rows, and has biases or norms of heads", () => {
    const tensors = decoderTensors();
    tensors["model.layers.0.self_attn.q_proj.bias"] = f32([16], 50);
    const { head } = convert({ config: decoderConfig("Qwen2ForCausalLM"), tensors });
    near(valuesOf(head, "blk.0.attn_q.weight"), numbers(256, 12));
    near(valuesOf(head, "blk.0.attn_q.bias"), numbers(16, 50));
    const third = decoderTensors();
    third["model.layers.0.self_attn.q_norm.weight"] = f32([4], 51);
    third["model.layers.0.self_attn.k_norm.weight"] = f32([4], 52);
    const qwen3 = convert({
      config: decoderConfig("Qwen3ForCausalLM", { head_dim: 4 }),
      tensors: third,
    });
    expect(plain(qwen3.head)).toMatchObject({
      "qwen3.attention.key_length": 4,
      "qwen3.attention.value_length": 4,
    });
    near(valuesOf(qwen3.head, "blk.0.attn_q_norm.weight"), numbers(4, 51));
  });

  test("gemma adds one to its norms", () => {
    const { head } = convert({ config: decoderConfig("GemmaForCausalLM", { head_dim: 4 }) });
    near(
      valuesOf(head, "output_norm.weight"),
      numbers(16, 2).map((value) => value + 1),
    );
    expect(plain(head)).toMatchObject({ "gemma.attention.key_length": 4 });
  });

  test("phi3 keeps fused projections and adds its rotary factors", () => {
    const tensors = decoderTensors();
    for (const part of ["q_proj", "k_proj", "v_proj"]) {
      delete tensors[`model.layers.0.self_attn.${part}.weight`];
    }
    delete tensors["model.layers.0.mlp.gate_proj.weight"];
    delete tensors["model.layers.0.mlp.up_proj.weight"];
    tensors["model.layers.0.self_attn.qkv_proj.weight"] = f32([32, 16], 60);
    tensors["model.layers.0.mlp.gate_up_proj.weight"] = f32([64, 16], 61);
    const { head } = convert({
      config: decoderConfig("Phi3ForCausalLM", {
        original_max_position_embeddings: 16,
        rope_scaling: { type: "longrope", long_factor: [1, 4], short_factor: [1, 2] },
      }),
      tensors,
    });
    near(valuesOf(head, "rope_factors_long.weight"), [1, 4]);
    near(valuesOf(head, "rope_factors_short.weight"), [1, 2]);
    near(valuesOf(head, "blk.0.attn_qkv.weight"), numbers(512, 60));
    expect(plain(head)["phi3.rope.scaling.attn_factor"]).toBeCloseTo(
      Math.sqrt(1 + Math.log(4) / Math.log(16)),
      5,
    );
  });

  test("8-bit weights with block scales become bfloat16", () => {
    const tensors = decoderTensors();
    const codes = Uint8Array.from({ length: 16 * 32 }, (_, i) => (i % 2 === 0 ? 0x38 : 0xb8));
    const place = "model.layers.0.mlp.down_proj.weight";
    tensors[place] = { dtype: "F8_E4M3", shape: [16, 32], bytes: codes };
    tensors[`${place}_scale_inv`] = {
      dtype: "F32",
      shape: [2, 2],
      bytes: new Uint8Array(Float32Array.of(1, 2, 4, 8).buffer),
    };
    const { head, result } = convert({
      config: decoderConfig("LlamaForCausalLM", {
        quantization_config: { quant_method: "fp8", weight_block_size: [8, 16] },
      }),
      tensors,
    });
    expect(result.eightBit).toBe(true);
    const values = valuesOf(head, "blk.0.ffn_down.weight");
    expect([values[0], values[1], values[16], values[8 * 32], values[8 * 32 + 16]]).toEqual([
      1, -1, 2, 4, 8,
    ]);
    expect(plain(head).source_quantization).toBe("hf_fp8");
  });
});

describe("what cannot be converted says so", () => {
  const config = decoderConfig("LlamaForCausalLM");
  const refused: Record<string, readonly [Input, RegExp]> = {
    "an unknown architecture": [
      { config: { ...config, architectures: ["NeverSeenForCausalLM"] } },
      /^unsupported architecture "NeverSeenForCausalLM" - supported architectures are BertForMaskedLM, /,
    ],
    "no architecture": [{ config: {} }, /unsupported architecture ""/],
    "no heads": [
      { config: { ...config, num_attention_heads: 0 } },
      /config.json: num_attention_heads must be a whole number above 0, not 0/,
    ],
    "no key heads": [
      { config: { ...config, num_key_value_heads: 0 } },
      /num_key_value_heads must be a whole number above 0, not 0/,
    ],
    "heads that do not divide the width": [
      { config: { ...config, num_attention_heads: 3 } },
      /hidden_size 16 is no multiple of num_attention_heads 3/,
    ],
    "a width that is a text": [{ config: { ...config, hidden_size: "16" } }, /hidden_size/],
    "layers beyond reason": [
      { config: { ...config, num_hidden_layers: 2 ** 31 - 1 } },
      /num_hidden_layers 2147483647 is too many/,
    ],
    "a layer without tensors": [
      { config: { ...config, num_hidden_layers: 2 } },
      /no tensors of layer 1/,
    ],
    "a vocabulary of another size": [
      { config: { ...config, vocab_size: 30 } },
      /tokenizer has 30 tokens, the model 24 embeddings/,
    ],
    "no tokenizer": [{ config, files: {} }, /^unknown tokenizer format/],
    "a tensor that nobody knows": [
      { config, tensors: { ...decoderTensors(), "model.layers.0.self_attn.magic": f32([4]) } },
      /tensor "model.layers.0.self_attn.magic" is not known/,
    ],
    "a tokenizer of another kind": [
      { config, files: { "tokenizer.json": { model: { type: "WordLevel", vocab: {} } } } },
      /tokenizers of type "WordLevel" are not supported; supported: BPE, WordPiece, Unigram/,
    ],
    "token ids beyond reason": [
      { config, files: { "tokenizer.json": { model: { type: "BPE", vocab: { a: 4e9 } } } } },
      /id 4000000000 of "a" is out of range/,
    ],
    "a tokenizer.model of noise": [
      { config, files: { "tokenizer.model": Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0x7f) } },
      /parse tokenizer.model: a field of \d+ bytes reaches past the end at byte 5/,
    ],
  };
  for (const [what, [input, text]] of Object.entries(refused)) {
    test(what, () => {
      expect(() => convert(input)).toThrow(ConvertError);
      expect(() => convert(input)).toThrow(text);
    });
  }

  test("without config.json", () => {
    expect(() => convertModel({}, { write: () => {} })).toThrow(
      "open config.json: no such file or directory",
    );
  });

  test("the list of architectures has those that the documents promise", () => {
    for (const name of ["Llama", "Mistral", "Mixtral", "Gemma", "Gemma2", "Phi3"]) {
      expect(supportedClasses).toContain(`${name}ForCausalLM`);
    }
  });
});
