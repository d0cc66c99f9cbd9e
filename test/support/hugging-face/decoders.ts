/** Tiny decoders with one feed-forward layer each, and the older ones with experts. */
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
  moe,
  moeParts,
  norms,
  plainLayer,
  sandwich,
  untied,
  width,
} from "./shapes.ts";

const gemma3: Kind = {
  layer: { ...sandwich, ...attention, ...gated, ...headNorms },
  config: { head_dim: headDim, sliding_window: 32 },
};

export const decoders: Record<string, Kind> = {
  LlamaForCausalLM: { layer: plainLayer, outside: untied },
  MistralForCausalLM: { layer: plainLayer, outside: untied, config: { sliding_window: 32 } },
  MixtralForCausalLM: {
    layer: {
      ...norms,
      ...attention,
      "block_sparse_moe.gate.weight": [4, width],
      ...experts("block_sparse_moe", {
        w1: [hidden, width],
        w2: [width, hidden],
        w3: [hidden, width],
      }),
    },
    outside: untied,
    config: { num_local_experts: 4, num_experts_per_tok: 2 },
  },
  Qwen2ForCausalLM: {
    layer: {
      ...plainLayer,
      "self_attn.q_proj.bias": [width],
      "self_attn.k_proj.bias": [32],
      "self_attn.v_proj.bias": [32],
    },
  },
  Qwen2MoeForCausalLM: {
    layer: {
      ...norms,
      ...attention,
      "self_attn.q_proj.bias": [width],
      "self_attn.k_proj.bias": [32],
      "self_attn.v_proj.bias": [32],
      "mlp.gate.weight": [4, width],
      ...experts("mlp", moeParts),
      "mlp.shared_expert.gate_proj.weight": [hidden, width],
      "mlp.shared_expert.up_proj.weight": [hidden, width],
      "mlp.shared_expert.down_proj.weight": [width, hidden],
      "mlp.shared_expert_gate.weight": [1, width],
    },
    outside: untied,
    config: { ...moe, shared_expert_intermediate_size: hidden },
  },
  Qwen3ForCausalLM: { layer: { ...plainLayer, ...headNorms }, config: { head_dim: headDim } },
  Qwen3MoeForCausalLM: {
    layer: {
      ...norms,
      ...attention,
      ...headNorms,
      "mlp.gate.weight": [4, width],
      ...experts("mlp", moeParts),
    },
    outside: untied,
    config: { ...moe, head_dim: headDim },
  },
  GemmaForCausalLM: { layer: plainLayer, config: { head_dim: headDim } },
  Gemma2ForCausalLM: {
    layer: { ...sandwich, ...attention, ...gated },
    config: {
      head_dim: headDim,
      sliding_window: 32,
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
    },
  },
  Gemma3ForCausalLM: gemma3,
  "Gemma3ForConditionalGeneration without its part that sees": gemma3,
  Phi3ForCausalLM: {
    layer: {
      ...norms,
      "self_attn.qkv_proj.weight": [(heads + 2 * kvHeads) * headDim, width],
      "self_attn.o_proj.weight": [width, width],
      "mlp.gate_up_proj.weight": [2 * hidden, width],
      "mlp.down_proj.weight": [width, hidden],
    },
    outside: untied,
  },
  GraniteForCausalLM: {
    layer: plainLayer,
    config: {
      attention_multiplier: 0.1,
      embedding_multiplier: 2,
      residual_multiplier: 0.5,
      logits_scaling: 4,
    },
  },
  SmolLM3ForCausalLM: { layer: plainLayer },
  Olmo2ForCausalLM: {
    layer: {
      ...attention,
      ...gated,
      "post_attention_layernorm.weight": [width],
      "post_feedforward_layernorm.weight": [width],
      "self_attn.q_norm.weight": [heads * headDim],
      "self_attn.k_norm.weight": [kvHeads * headDim],
    },
    outside: untied,
  },
  CohereForCausalLM: {
    layer: { ...attention, ...gated, "input_layernorm.weight": [width] },
    config: { logit_scale: 0.1 },
  },
  Starcoder2ForCausalLM: {
    layer: biases({
      ...norms,
      ...attention,
      "mlp.c_fc.weight": [hidden, width],
      "mlp.c_proj.weight": [width, hidden],
    }),
    outside: { ...decoder, "model.norm.bias": [width] },
  },
};
