/** Gemma 1 to 3, and the embedding model made of Gemma 3. */

import { ConvertError } from "../../../errors.ts";
import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  type Renaming,
  ropeConfig,
  ropeMetadata,
  type SourceModel,
  textPrefixes,
} from "../architecture.ts";
import { attentionOf, Config } from "../config.ts";
import { f32, flag, type Metadata, maybe, text, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { poolingOf } from "../pooling.ts";
import { readSafetensors } from "../safetensors.ts";
import type { SourceFiles } from "../source.ts";
import type { Vocabulary } from "../tokenizer/vocabulary.ts";
import { type Weights, weightsOf } from "../weights.ts";
import { gemma3Projector } from "./gemma-vision.ts";

/** Norms are stored less one. */
function norms(name: string, weights: Weights): readonly Planned[] | undefined {
  return name.endsWith("norm.weight")
    ? [{ name, weights, change: (value) => value + 1 }]
    : undefined;
}

function gemmaMetadata(config: Config): Metadata {
  const attention = attentionOf(config);
  return {
    ...decoderMetadata(config, attention),
    ...ropeMetadata(config),
    "attention.key_length": u32(attention.headDim),
    "attention.value_length": u32(attention.headDim),
  };
}

/** Tokens for code and turns, where the vocabulary has them in Gemma's places. */
const marks: readonly (readonly [key: string, id: number, token: string])[] = [
  ["prefix_token_id", 67, "<|fim_prefix|>"],
  ["middle_token_id", 68, "<|fim_middle|>"],
  ["suffix_token_id", 69, "<|fim_suffix|>"],
  ["eot_token_id", 107, "<end_of_turn>"],
];

function tokenizer(vocabulary: Vocabulary): Metadata {
  const found = marks.filter(([, id, token]) => vocabulary.tokens[id] === token);
  return {
    ...Object.fromEntries(found.map(([key, id]) => [key, u32(id)])),
    add_space_prefix: maybe(vocabulary.model === "llama" ? false : undefined, flag),
  };
}

/** llama.cpp uses the embeddings for the output. */
const skip = new RegExp(`${buffers.source}|^lm_head\\.`);

export const gemma: Architecture = {
  classes: ["GemmaForCausalLM"],
  name: "gemma",
  metadata: ({ config }) => gemmaMetadata(config),
  names: decoderNames,
  skip,
  plan: norms,
  tokenizer,
};

const sandwichNames: Renaming = [
  ["pre_feedforward_layernorm.", "ffn_norm."],
  ["post_feedforward_layernorm.", "post_ffw_norm."],
  ["post_attention_layernorm.", "post_attention_norm."],
  ...decoderNames,
];

export const gemma2: Architecture = {
  classes: ["Gemma2ForCausalLM"],
  name: "gemma2",
  metadata: ({ config }) => ({
    ...gemmaMetadata(config),
    "attention.sliding_window": u32(config.whole("sliding_window")),
    attn_logit_softcapping: f32(config.number("attn_logit_softcapping", 50)),
    final_logit_softcapping: f32(config.number("final_logit_softcapping", 30)),
  }),
  names: sandwichNames,
  skip,
  plan: norms,
  tokenizer,
};

/** What Gemma 3's code assumes where its configuration is silent. */
const defaults3 = {
  max_position_embeddings: 131072,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 256,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  hidden_size: 2304,
  intermediate_size: 9216,
};

export function gemma3Metadata({ config }: SourceModel): Metadata {
  const full = config.over(defaults3);
  const rope = ropeConfig(full);
  const linear = rope?.text("rope_type") === "linear";
  return {
    ...gemmaMetadata(full),
    "rope.scaling.type": maybe(linear ? "linear" : undefined, text),
    "attention.sliding_window": maybe(full.maybeWhole("sliding_window"), u32),
    final_logit_softcapping: maybe(full.maybeNumber("final_logit_softcapping"), f32),
  };
}

const names3: Renaming = [...textPrefixes, ...sandwichNames];

export const gemma3: Architecture = {
  classes: ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
  name: "gemma3",
  metadata: gemma3Metadata,
  names: names3,
  skip: new RegExp(`${skip.source}|lm_head\\.`),
  projector: gemma3Projector,
  plan: norms,
  tokenizer,
};

/** Layers of EmbeddingGemma behind the pooling, each in a folder of its own: llama.cpp's name → folder. */
const denseLayers = { dense_2: "2_Dense", dense_3: "3_Dense" } as const;

/** Their sizes, where the model brings them. */
function denseMetadata(files: SourceFiles): Metadata {
  const sizes = Object.entries(denseLayers).flatMap(([name, folder]) => {
    const json = files.optional(`${folder}/config.json`);
    if (json === undefined) return [];
    const config = new Config(json, `${folder}/config.json`);
    return [
      [`${name}_feat_in`, u32(config.whole("in_features"))],
      [`${name}_feat_out`, u32(config.whole("out_features"))],
    ] as const;
  });
  return Object.fromEntries(sizes);
}

function denseWeights(files: SourceFiles): Planned[] {
  return Object.entries(denseLayers).flatMap(([name, folder]) => {
    const file = `${folder}/model.safetensors`;
    if (!files.has(file) || !files.has(`${folder}/config.json`)) return [];
    const tensor = readSafetensors(file, files.path(file)).find((one) =>
      one.name.endsWith("linear.weight"),
    );
    if (tensor === undefined) throw new ConvertError(`${file}: tensor "linear.weight" is missing`);
    return [{ name: `${name}.weight`, weights: weightsOf(tensor) }];
  });
}

export const gemmaEmbedding: Architecture = {
  classes: ["Gemma3TextModel"],
  name: "gemma-embedding",
  metadata: (model) => ({
    ...gemma3Metadata(model),
    ...denseMetadata(model.files),
    pooling_type: u32(poolingOf(model.files)?.type ?? 1),
  }),
  // Without the prefix that decoders give their parts.
  names: [[/^(?=layers\.|embed_tokens\.|norm\.)/, "model."], ...sandwichNames],
  skip,
  plan: norms,
  extra: ({ files }) => denseWeights(files),
  tokenizer,
};
