/** Tiny decoders of newer kinds: compressed attention, convolutions, experts in four bits. */
import {
  attention,
  biases,
  decoder,
  experts,
  gated,
  headDim,
  headNorms,
  heads,
  hidden,
  type Kind,
  kvHeads,
  moeParts,
  norms,
  type Shapes,
  untied,
  width,
} from "./shapes.ts";

const sharedExpert: Shapes = {
  "mlp.shared_experts.gate_proj.weight": [hidden, width],
  "mlp.shared_experts.up_proj.weight": [hidden, width],
  "mlp.shared_experts.down_proj.weight": [width, hidden],
};
const routed: Shapes = {
  "mlp.gate.weight": [4, width],
  "mlp.gate.e_score_correction_bias": [4],
  ...experts("mlp", moeParts),
  ...sharedExpert,
};
const routing = {
  n_routed_experts: 4,
  num_experts_per_tok: 2,
  n_shared_experts: 1,
  moe_intermediate_size: hidden,
  first_k_dense_replace: 1,
  routed_scaling_factor: 2.5,
  norm_topk_prob: true,
};

/** Sizes of compressed attention: kept, without position, with it, values. */
const kept = 32;
const plain = 16;
const rotary = 8;
const value = 12;

const compressed: Shapes = {
  "self_attn.kv_a_proj_with_mqa.weight": [kept + rotary, width],
  "self_attn.kv_a_layernorm.weight": [kept],
  "self_attn.kv_b_proj.weight": [heads * (plain + value), kept],
  "self_attn.o_proj.weight": [width, heads * value],
};
const compressedQueries: Shapes = {
  "self_attn.q_a_proj.weight": [24, width],
  "self_attn.q_a_layernorm.weight": [24],
  "self_attn.q_b_proj.weight": [heads * (plain + rotary), 24],
};
const compression = {
  kv_lora_rank: kept,
  qk_nope_head_dim: plain,
  qk_rope_head_dim: rotary,
  v_head_dim: value,
  num_key_value_heads: heads,
};

const deepseek: Kind = {
  layer: (layer) => ({
    ...norms,
    ...compressed,
    ...compressedQueries,
    ...(layer === 0 ? gated : routed),
  }),
  outside: {
    ...untied,
    // What predicts further tokens stands behind the last layer.
    "model.layers.2.eh_proj.weight": [width, 2 * width],
  },
  config: {
    ...routing,
    ...compression,
    q_lora_rank: 24,
    n_group: 2,
    topk_group: 1,
    num_nextn_predict_layers: 1,
    scoring_func: "sigmoid",
    rope_scaling: {
      type: "yarn",
      factor: 4,
      original_max_position_embeddings: 16,
      beta_fast: 32,
      beta_slow: 1,
      mscale: 1,
      mscale_all_dim: 1,
    },
  },
};

const convolution: Shapes = {
  "conv.conv.weight": [width, 1, 3],
  "conv.in_proj.weight": [3 * width, width],
  "conv.out_proj.weight": [width, width],
};
const lfmAttention: Shapes = {
  "self_attn.q_proj.weight": [width, width],
  "self_attn.k_proj.weight": [kvHeads * headDim, width],
  "self_attn.v_proj.weight": [kvHeads * headDim, width],
  "self_attn.out_proj.weight": [width, width],
  "self_attn.q_layernorm.weight": [headDim],
  "self_attn.k_layernorm.weight": [headDim],
};
const lfmParts = { w1: [hidden, width], w2: [width, hidden], w3: [hidden, width] };
export const lfm = (layer: number): Shapes => ({
  "operator_norm.weight": [width],
  "ffn_norm.weight": [width],
  ...(layer === 0 ? convolution : lfmAttention),
});
export const lfmDense: Shapes = Object.fromEntries(
  Object.entries(lfmParts).map(([part, shape]) => [`feed_forward.${part}.weight`, shape]),
);
export const lfmConfig = {
  layer_types: ["conv", "full_attention"],
  conv_L_cache: 3,
  norm_eps: 1e-5,
  // As the first checkpoints say it; the weights are smaller.
  block_ff_dim: 200,
  block_auto_adjust_ff_dim: true,
};
export const lfmOutside: Shapes = {
  "model.embed_tokens.weight": decoder["model.embed_tokens.weight"] ?? [],
  "model.embedding_norm.weight": [width],
};

/** Rows of gate and up alternate; blocks hold 32 numbers in 16 bytes. */
function gptOssCodes(): Record<string, readonly number[]> {
  const codes: Record<string, readonly number[]> = {};
  for (const layer of [0, 1]) {
    const place = `model.layers.${layer}.mlp.experts`;
    codes[`${place}.gate_up_proj_blocks`] = [4, 2 * hidden, width / 32, 16];
    codes[`${place}.gate_up_proj_scales`] = [4, 2 * hidden, width / 32];
    codes[`${place}.down_proj_blocks`] = [4, width, hidden / 32, 16];
    codes[`${place}.down_proj_scales`] = [4, width, hidden / 32];
  }
  return codes;
}
const gptOssLayer: Shapes = {
  ...norms,
  ...biases(attention),
  "self_attn.sinks": [heads],
  "mlp.router.weight": [4, width],
  "mlp.router.bias": [4],
  "mlp.experts.gate_up_proj_bias": [4, 2 * hidden],
  "mlp.experts.down_proj_bias": [4, width],
};
const gptOssConfig = {
  head_dim: headDim,
  sliding_window: 32,
  num_local_experts: 4,
  num_experts_per_tok: 2,
};

const lagunaExperts: Shapes = {
  "mlp.gate.weight": [4, width],
  "mlp.experts.e_score_correction_bias": [4],
  ...experts("mlp", moeParts),
  "mlp.shared_expert.gate_proj.weight": [hidden, width],
  "mlp.shared_expert.up_proj.weight": [hidden, width],
  "mlp.shared_expert.down_proj.weight": [width, hidden],
};

export const mixtures: Record<string, Kind> = {
  GptOssForCausalLM: {
    layer: gptOssLayer,
    codes: gptOssCodes(),
    outside: untied,
    config: gptOssConfig,
  },
  "GptOssForCausalLM in 16 bits": {
    layer: {
      ...gptOssLayer,
      "mlp.experts.gate_up_proj": [4, width, 2 * hidden],
      "mlp.experts.down_proj": [4, hidden, width],
    },
    outside: untied,
    config: gptOssConfig,
  },
  DeepseekV3ForCausalLM: deepseek,
  DeepseekV2ForCausalLM: {
    layer: (layer) => ({
      ...norms,
      ...compressed,
      ...compressedQueries,
      ...(layer === 0 ? gated : { ...routed, "mlp.gate.e_score_correction_bias": [4] }),
    }),
    outside: untied,
    config: { ...routing, ...compression, q_lora_rank: 24, scoring_func: "softmax" },
  },
  Glm4MoeLiteForCausalLM: {
    ...deepseek,
    // No multiple of the heads, as in the real one.
    config: { ...deepseek.config, rope_scaling: null },
  },
  Glm4ForCausalLM: {
    layer: {
      ...norms,
      ...attention,
      "post_self_attn_layernorm.weight": [width],
      "post_mlp_layernorm.weight": [width],
      "mlp.gate_up_proj.weight": [2 * hidden, width],
      "mlp.down_proj.weight": [width, hidden],
    },
    outside: untied,
    config: { partial_rotary_factor: 0.5 },
  },
  Glm4MoeForCausalLM: {
    layer: (layer) => ({
      ...norms,
      ...attention,
      ...headNorms,
      ...(layer === 0 ? gated : routed),
    }),
    outside: untied,
    config: { ...routing, head_dim: headDim, n_group: 1, topk_group: 1 },
  },
  LagunaForCausalLM: {
    layer: (layer) => ({
      ...norms,
      ...attention,
      ...headNorms,
      "self_attn.g_proj.weight": [heads, width],
      ...(layer === 0 ? gated : lagunaExperts),
    }),
    outside: untied,
    config: {
      head_dim: headDim,
      num_attention_heads_per_layer: [heads, heads],
      sliding_window: 32,
      mlp_layer_types: ["dense", "sparse"],
      num_experts: 4,
      num_experts_per_tok: 2,
      moe_intermediate_size: hidden,
      shared_expert_intermediate_size: hidden,
      moe_routed_scaling_factor: 2.5,
      rope_parameters: {
        full_attention: { rope_type: "default", rope_theta: 5e5, partial_rotary_factor: 0.5 },
        sliding_attention: { rope_type: "default", rope_theta: 1e4 },
      },
    },
  },
  Lfm2ForCausalLM: {
    layer: (layer) => ({ ...lfm(layer), ...lfmDense }),
    outside: lfmOutside,
    config: lfmConfig,
  },
  Lfm2MoeForCausalLM: {
    layer: (layer) => ({
      ...lfm(layer),
      ...(layer === 0
        ? lfmDense
        : {
            "feed_forward.gate.weight": [4, width],
            "feed_forward.expert_bias": [4],
            ...experts("feed_forward", lfmParts),
          }),
    }),
    outside: lfmOutside,
    config: {
      ...lfmConfig,
      num_experts: 4,
      num_experts_per_tok: 2,
      moe_intermediate_size: hidden,
      num_dense_layers: 1,
    },
  },
};
