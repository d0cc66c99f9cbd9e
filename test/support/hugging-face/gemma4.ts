/** Tiny Gemma 4: layers with windows and one that sees all, with experts, and with eyes. */
import {
  gated,
  headDim,
  heads,
  hidden,
  type Kind,
  kvHeads,
  type Shapes,
  sandwich,
  vocabulary,
  width,
} from "./shapes.ts";

/** Heads of layers that see all are larger, and fewer have keys. */
const fullHead = 2 * headDim;
const perLayer = 8;
const eye = 48;
const eyeHidden = 80;
const patch = 8;
const isFull = (layer: number) => layer === 1;

const attention = (head: number, keyHeads: number): Shapes => ({
  "self_attn.q_proj.weight": [heads * head, width],
  "self_attn.k_proj.weight": [keyHeads * head, width],
  "self_attn.v_proj.weight": [keyHeads * head, width],
  "self_attn.o_proj.weight": [width, heads * head],
  "self_attn.q_norm.weight": [head],
  "self_attn.k_norm.weight": [head],
});
const common = (layer: number): Shapes => ({
  ...sandwich,
  ...gated,
  ...(isFull(layer) ? attention(fullHead, 1) : attention(headDim, kvHeads)),
  layer_scalar: [1],
});
const perLayerInputs: Shapes = {
  "per_layer_input_gate.weight": [perLayer, width],
  "per_layer_projection.weight": [width, perLayer],
  "post_per_layer_input_norm.weight": [width],
};
const mixture: Shapes = {
  "router.proj.weight": [4, width],
  "router.scale": [width],
  "router.per_expert_scale": [4],
  "experts.gate_up_proj": [4, 2 * hidden, width],
  "experts.down_proj": [4, width, hidden],
  "pre_feedforward_layernorm_2.weight": [width],
  "post_feedforward_layernorm_1.weight": [width],
  "post_feedforward_layernorm_2.weight": [width],
};

const text = "model.language_model.";
const outside: Shapes = {
  [`${text}embed_tokens.weight`]: [vocabulary, width],
  [`${text}norm.weight`]: [width],
};
const perLayerOutside: Shapes = {
  [`${text}embed_tokens_per_layer.weight`]: [vocabulary, 2 * perLayer],
  [`${text}per_layer_model_projection.weight`]: [2 * perLayer, width],
  [`${text}per_layer_projection_norm.weight`]: [perLayer],
};

const eyeLayer: Shapes = {
  "input_layernorm.weight": [eye],
  "post_attention_layernorm.weight": [eye],
  "pre_feedforward_layernorm.weight": [eye],
  "post_feedforward_layernorm.weight": [eye],
  "self_attn.q_proj.linear.weight": [eye, eye],
  "self_attn.k_proj.linear.weight": [eye, eye],
  "self_attn.v_proj.linear.weight": [eye, eye],
  "self_attn.o_proj.linear.weight": [eye, eye],
  "self_attn.q_norm.weight": [16],
  "self_attn.k_norm.weight": [16],
  "mlp.gate_proj.linear.weight": [eyeHidden, eye],
  "mlp.up_proj.linear.weight": [eyeHidden, eye],
  "mlp.down_proj.linear.weight": [eye, eyeHidden],
};
const eyes: Shapes = {
  ...Object.fromEntries(
    [0, 1].flatMap((layer) =>
      Object.entries(eyeLayer).map(([name, shape]) => [
        `model.vision_tower.encoder.layers.${layer}.${name}`,
        shape,
      ]),
    ),
  ),
  "model.vision_tower.patch_embedder.input_proj.weight": [eye, 3 * patch * patch],
  "model.vision_tower.patch_embedder.position_embedding_table": [2, 64, eye],
  "model.embed_vision.embedding_projection.weight": [width, eye],
  "model.audio_tower.subsample_conv_projection.layer0.conv.weight": [4, 1, 3, 3],
};

/** Its tokenizer falls back to bytes and joins pairs by their rank. */
const tokens = [
  ...["<pad>", "<eos>", "<bos>", "<unk>", "<|tool_call>", "<tool_call|>"],
  ..."▁abcdefghijklmnop",
  "ab",
];
const files = {
  "tokenizer.json": {
    added_tokens: tokens.slice(0, 6).map((content, id) => ({ id, content, special: true })),
    model: {
      type: "BPE",
      byte_fallback: true,
      unk_token: "<unk>",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: [["a", "b"]],
    },
  },
  "tokenizer_config.json": { bos_token: "<bos>", eos_token: "<eos>", unk_token: "<unk>" },
};

const config = {
  head_dim: headDim,
  global_head_dim: fullHead,
  num_key_value_heads: kvHeads,
  num_global_key_value_heads: 1,
  sliding_window: 32,
  layer_types: ["sliding_attention", "full_attention"],
  num_kv_shared_layers: 0,
  final_logit_softcapping: 30,
  max_position_embeddings: 512,
  rope_parameters: {
    full_attention: { rope_type: "proportional", partial_rotary_factor: 0.25, rope_theta: 1e6 },
    sliding_attention: { rope_type: "default", rope_theta: 1e4 },
  },
};

export const gemma4: Record<string, Kind> = {
  Gemma4ForConditionalGeneration: {
    sees: true,
    layers: `${text}layers.`,
    layer: (layer) => ({ ...common(layer), ...perLayerInputs }),
    outside: { ...outside, ...perLayerOutside, ...eyes },
    config: {
      ...config,
      hidden_size_per_layer_input: perLayer,
      audio_config: {},
      vision_config: {
        hidden_size: eye,
        intermediate_size: eyeHidden,
        num_hidden_layers: 2,
        num_attention_heads: 3,
        patch_size: patch,
      },
    },
    files,
  },
  "Gemma4ForCausalLM with experts": {
    layers: `${text}layers.`,
    layer: (layer) => ({ ...common(layer), ...mixture }),
    outside,
    config: { ...config, num_experts: 4, top_k_experts: 2, moe_intermediate_size: hidden },
    files,
  },
};
