/** Tiny encoders: BERT and its kin, with their tokenizers. */

import { tokenizerFiles } from "../safetensors.ts";
import {
  attention,
  biases,
  gated,
  headDim,
  headNorms,
  hidden,
  type Kind,
  kvHeads,
  type Shapes,
  sandwich,
  vocabulary,
  width,
} from "./shapes.ts";

/** libllama's ids of BERT's special tokens go up to 103: smaller vocabularies end it. */
const words = 128;

const wordPiece = {
  "tokenizer.json": {
    added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map((content, id) => ({
      id,
      content,
      special: true,
    })),
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      vocab: Object.fromEntries(
        Array.from({ length: words }, (_, id) => [
          ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ..."abcdefghij"][id] ?? `##${id}`,
          id,
        ]),
      ),
    },
  },
  "tokenizer_config.json": {
    unk_token: "[UNK]",
    cls_token: "[CLS]",
    sep_token: "[SEP]",
    pad_token: "[PAD]",
  },
};

const bertLayer = biases({
  "attention.self.query.weight": [width, width],
  "attention.self.key.weight": [width, width],
  "attention.self.value.weight": [width, width],
  "attention.output.dense.weight": [width, width],
  "attention.output.LayerNorm.weight": [width],
  "intermediate.dense.weight": [hidden, width],
  "output.dense.weight": [width, hidden],
  "output.LayerNorm.weight": [width],
});
const bertOutside = (prefix: string, norm: string): Shapes => ({
  [`${prefix}word_embeddings.weight`]: [words, width],
  [`${prefix}token_type_embeddings.weight`]: [2, width],
  [`${norm}.weight`]: [width],
  [`${norm}.bias`]: [width],
});
const bert: Kind = {
  embeds: true,
  files: wordPiece,
  layers: "encoder.layer.",
  layer: bertLayer,
  outside: {
    ...bertOutside("embeddings.", "embeddings.LayerNorm"),
    "embeddings.position_embeddings.weight": [64, width],
  },
  config: { type_vocab_size: 2, vocab_size: words },
};
const nomicLayer: Shapes = {
  "attn.Wqkv.weight": [3 * width, width],
  "attn.out_proj.weight": [width, width],
  "norm1.weight": [width],
  "norm1.bias": [width],
  "norm2.weight": [width],
  "norm2.bias": [width],
  "mlp.fc11.weight": [hidden, width],
  "mlp.fc12.weight": [hidden, width],
  "mlp.fc2.weight": [width, hidden],
};

const nomicOutside = bertOutside("embeddings.", "emb_ln");

/** Every second layer has experts, whose matrices lie below each other. */
const nomicMixture = (layer: number): Shapes => ({
  ...biases({
    "attn.Wqkv.weight": [3 * width, width],
    "attn.out_proj.weight": [width, width],
    "norm1.weight": [width],
    "norm2.weight": [width],
  }),
  ...(layer % 2 === 1
    ? {
        "mlp.router.layer.weight": [4, width],
        "mlp.experts.mlp.w1": [4 * hidden, width],
        "mlp.experts.mlp.w2": [4 * hidden, width],
        "mlp.experts.bias": [width],
      }
    : biases({ "mlp.fc1.weight": [hidden, width], "mlp.fc2.weight": [width, hidden] })),
});

const nomicConfig = { type_vocab_size: 2, vocab_size: words, n_inner: hidden, n_positions: 64 };

export const encoders: Record<string, Kind> = {
  BertModel: bert,
  NomicBertModel: {
    ...bert,
    layers: "encoder.layers.",
    layer: nomicLayer,
    outside: nomicOutside,
    config: nomicConfig,
  },
  NomicBertMoEModel: {
    ...bert,
    layers: "encoder.layers.",
    layer: nomicMixture,
    outside: nomicOutside,
    config: { ...nomicConfig, moe_every_n_layers: 2, num_experts: 4, moe_top_k: 2 },
  },
  Gemma3TextModel: {
    embeds: true,
    // Every sixth layer sees all; llama.cpp wants one.
    count: 6,
    layers: "layers.",
    layer: { ...sandwich, ...attention, ...gated, ...headNorms },
    outside: { "embed_tokens.weight": [vocabulary, width], "norm.weight": [width] },
    config: { head_dim: headDim, sliding_window: 32, num_key_value_heads: kvHeads },
    // Two layers behind the pooling, wide in between.
    folders: {
      "2_Dense": { "linear.weight": [2 * width, width] },
      "3_Dense": { "linear.weight": [width, 2 * width] },
    },
    files: {
      ...tokenizerFiles,
      "2_Dense/config.json": { in_features: width, out_features: 2 * width },
      "3_Dense/config.json": { in_features: 2 * width, out_features: width },
    },
  },
};
