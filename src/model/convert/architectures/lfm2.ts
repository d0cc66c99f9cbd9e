/** Liquid's LFM 2: short convolutions in most layers, attention in the others; the second has experts. */

import { ConvertError } from "../../../errors.ts";
import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  type Renaming,
  ropeMetadata,
  type SourceModel,
} from "../architecture.ts";
import { attentionOf, type Config } from "../config.ts";
import { f32, integers, type Metadata, text, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { reshaped, type Weights } from "../weights.ts";
import { expertMetadata, gating } from "./experts.ts";

/** Heads of keys by layer; none where a layer convolves. */
function kvHeadsByLayer(config: Config, kvHeads: number): number[] {
  const types = config.texts("layer_types");
  const layers = config.whole("num_hidden_layers");
  if (types !== undefined && types.length === layers) {
    return types.map((type) => (type === "full_attention" ? kvHeads : 0));
  }
  const attending = config.numbers("full_attn_idxs");
  if (attending === undefined) {
    throw new ConvertError(`config.json: layer_types must name ${layers} layers`);
  }
  return Array.from({ length: layers }, (_, layer) => (attending.includes(layer) ? kvHeads : 0));
}

/** As the weights have it: configurations give a size that two thirds, a factor and a multiple make the real one of. */
function feedForward({ config, weights }: SourceModel): number {
  const first = [...weights].find(([name]) => name.endsWith(".layers.0.feed_forward.w1.weight"));
  const [rows] = first?.[1].shape ?? [];
  return rows ?? config.whole("intermediate_size", "block_ff_dim");
}

function lfmMetadata(model: SourceModel): Metadata {
  const { config } = model;
  const attention = attentionOf(config);
  const full = config.over({ intermediate_size: feedForward(model) });
  const epsilon = { "attention.layer_norm_rms_epsilon": f32(config.number("norm_eps", 1e-5)) };
  return {
    ...decoderMetadata(full, attention, epsilon),
    ...ropeMetadata(config),
    feed_forward_length: u32(feedForward(model)),
    "attention.head_count_kv": integers(kvHeadsByLayer(config, attention.kvHeads)),
    "shortconv.l_cache": u32(config.whole("conv_L_cache")),
    vocab_size: u32(config.whole("vocab_size")),
  };
}

const names: Renaming = [
  // llama.cpp's name of the last norm in this family.
  ["model.embedding_norm.", "token_embd_norm."],
  ["operator_norm.", "attn_norm."],
  ["self_attn.out_proj.", "attn_output."],
  ["self_attn.q_layernorm.", "attn_q_norm."],
  ["self_attn.k_layernorm.", "attn_k_norm."],
  ["conv.conv.", "shortconv.conv."],
  ["conv.in_proj.", "shortconv.in_proj."],
  ["conv.out_proj.", "shortconv.out_proj."],
  ["feed_forward.experts.w1.", "ffn_gate_exps."],
  ["feed_forward.experts.w2.", "ffn_down_exps."],
  ["feed_forward.experts.w3.", "ffn_up_exps."],
  ["feed_forward.expert_bias", "exp_probs_b.bias"],
  ["feed_forward.gate.", "ffn_gate_inp."],
  ["feed_forward.w1.", "ffn_gate."],
  ["feed_forward.w2.", "ffn_down."],
  ["feed_forward.w3.", "ffn_up."],
  ...decoderNames,
];

/** One row of factors a channel, computed with in full precision. */
function convolution(name: string, weights: Weights): readonly Planned[] | undefined {
  if (!name.endsWith("shortconv.conv.weight")) return undefined;
  const [channels = 0, , taps = 0] = weights.shape;
  return [{ name, weights: reshaped(weights, [channels, taps]), type: "F32" }];
}

const tokenizer = () => ({ pre: text("lfm2") });

export const lfm2: Architecture = {
  classes: ["Lfm2ForCausalLM"],
  name: "lfm2",
  metadata: lfmMetadata,
  names,
  skip: buffers,
  plan: convolution,
  tokenizer,
};

export const lfm2moe: Architecture = {
  ...lfm2,
  classes: ["Lfm2MoeForCausalLM"],
  name: "lfm2moe",
  metadata: (model) => ({
    ...lfmMetadata(model),
    ...expertMetadata(model.config),
    leading_dense_block_count: u32(model.config.maybeCount("num_dense_layers") ?? 0),
    expert_gating_func: u32(gating.sigmoid),
  }),
};
