/** Tiny models that see: a decoder, and an encoder of pictures of 64 by 64 in patches of 8. */
import { tokenizerFiles } from "../safetensors.ts";
import {
  attention,
  biases,
  decoder,
  gated,
  headDim,
  headNorms,
  hidden,
  type Kind,
  norms,
  type Shapes,
  sandwich,
  untied,
  vocabulary,
  width,
} from "./shapes.ts";

/** Of the part that sees. */
const eye = 48;
const eyeHidden = 80;
const patch = 8;
const side = 64;
const patches = (side / patch) ** 2;
const eyeLayers = 2;

/** Tensors of layers below a prefix, and others. */
function eyes(prefix: string, layer: Shapes, others: Shapes): Shapes {
  const shapes: Record<string, readonly number[]> = { ...others };
  for (let i = 0; i < eyeLayers; i++) {
    for (const [name, shape] of Object.entries(layer)) shapes[`${prefix}${i}.${name}`] = shape;
  }
  return shapes;
}

/** The decoder's tensors under the name that models with two parts give it. */
const inner = (shapes: Shapes, prefix = "model.language_model."): Shapes =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name.replace(/^model\./, prefix), shape]),
  );

const preparation = {
  "preprocessor_config.json": { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] },
};

const square: Shapes = biases({
  "self_attn.q_proj.weight": [eye, eye],
  "self_attn.k_proj.weight": [eye, eye],
  "self_attn.v_proj.weight": [eye, eye],
});

const gemma3: Kind = {
  sees: true,
  // As older transformers name the parts.
  layers: "language_model.model.layers.",
  layer: { ...sandwich, ...attention, ...gated, ...headNorms },
  outside: {
    ...inner(decoder, "language_model.model."),
    ...eyes(
      "vision_tower.vision_model.encoder.layers.",
      {
        ...square,
        ...biases({
          "self_attn.out_proj.weight": [eye, eye],
          "layer_norm1.weight": [eye],
          "layer_norm2.weight": [eye],
          "mlp.fc1.weight": [eyeHidden, eye],
          "mlp.fc2.weight": [eye, eyeHidden],
        }),
      },
      {
        ...biases({
          "vision_tower.vision_model.embeddings.patch_embedding.weight": [eye, 3, patch, patch],
          "vision_tower.vision_model.post_layernorm.weight": [eye],
        }),
        "vision_tower.vision_model.embeddings.position_embedding.weight": [patches, eye],
        "multi_modal_projector.mm_input_projection_weight": [eye, width],
        "multi_modal_projector.mm_soft_emb_norm.weight": [eye],
      },
    ),
  },
  config: {
    head_dim: headDim,
    sliding_window: 32,
    mm_tokens_per_image: 16,
    vision_config: {
      hidden_size: eye,
      intermediate_size: eyeHidden,
      num_hidden_layers: eyeLayers,
      num_attention_heads: 3,
      image_size: side,
      patch_size: patch,
    },
  },
  files: { ...tokenizerFiles, ...preparation },
};

const qwenBiases: Shapes = {
  "self_attn.q_proj.bias": [width],
  "self_attn.k_proj.bias": [32],
  "self_attn.v_proj.bias": [32],
};
/** Four patches become one. */
const merged = 4 * eye;
const qwenEye = { depth: eyeLayers, num_heads: 3, patch_size: patch, spatial_merge_size: 2 };
const mrope = { rope_scaling: { type: "mrope", mrope_section: [2, 3, 3] } };
const qwenOutside = (more: Shapes): Shapes => ({
  "visual.patch_embed.proj.weight": [eye, 3, 2, patch, patch],
  ...more,
});
const merger: Shapes = {
  "visual.merger.ln_q.weight": [eye],
  ...biases({
    "visual.merger.mlp.0.weight": [merged, merged],
    "visual.merger.mlp.2.weight": [width, merged],
  }),
};

const qwen2vl: Kind = {
  sees: true,
  layer: { ...norms, ...attention, ...qwenBiases, ...gated },
  outside: {
    ...untied,
    ...eyes(
      "visual.blocks.",
      biases({
        "norm1.weight": [eye],
        "norm2.weight": [eye],
        "attn.qkv.weight": [3 * eye, eye],
        "attn.proj.weight": [eye, eye],
        "mlp.fc1.weight": [4 * eye, eye],
        "mlp.fc2.weight": [eye, 4 * eye],
      }),
      { ...qwenOutside(merger), "visual.merger.ln_q.bias": [eye] },
    ),
  },
  config: { ...mrope, vision_config: { ...qwenEye, embed_dim: eye, mlp_ratio: 4 } },
};

const qwen25vl: Kind = {
  ...qwen2vl,
  // As newer transformers name the parts.
  layers: "model.language_model.layers.",
  outside: {
    ...inner(untied),
    ...Object.fromEntries(
      Object.entries(
        eyes(
          "visual.blocks.",
          {
            "norm1.weight": [eye],
            "norm2.weight": [eye],
            ...biases({
              "attn.qkv.weight": [3 * eye, eye],
              "attn.proj.weight": [eye, eye],
              "mlp.gate_proj.weight": [eyeHidden, eye],
              "mlp.up_proj.weight": [eyeHidden, eye],
              "mlp.down_proj.weight": [eye, eyeHidden],
            }),
          },
          qwenOutside(merger),
        ),
      ).map(([name, shape]) => [`model.${name}`, shape]),
    ),
  },
  config: {
    ...mrope,
    vision_config: {
      ...qwenEye,
      hidden_size: eye,
      intermediate_size: eyeHidden,
      fullatt_block_indexes: [1],
    },
  },
};

export const qwen3vl: Kind = {
  sees: true,
  layers: "model.language_model.layers.",
  layer: { ...norms, ...attention, ...headNorms, ...gated },
  outside: {
    ...inner(untied),
    ...eyes(
      "model.visual.blocks.",
      biases({
        "norm1.weight": [eye],
        "norm2.weight": [eye],
        "attn.qkv.weight": [3 * eye, eye],
        "attn.proj.weight": [eye, eye],
        "mlp.linear_fc1.weight": [eyeHidden, eye],
        "mlp.linear_fc2.weight": [eye, eyeHidden],
      }),
      {
        ...biases({
          "model.visual.patch_embed.proj.weight": [eye, 3, 2, patch, patch],
          "model.visual.merger.norm.weight": [eye],
          "model.visual.merger.linear_fc1.weight": [merged, merged],
          "model.visual.merger.linear_fc2.weight": [width, merged],
          "model.visual.deepstack_merger_list.0.norm.weight": [merged],
          "model.visual.deepstack_merger_list.0.linear_fc1.weight": [merged, merged],
          "model.visual.deepstack_merger_list.0.linear_fc2.weight": [width, merged],
        }),
        "model.visual.patch_embed.proj.bias": [eye],
        "model.visual.pos_embed.weight": [patches, eye],
      },
    ),
  },
  config: {
    head_dim: headDim,
    rope_scaling: { rope_type: "default", mrope_section: [2, 3, 3] },
    vision_config: {
      ...qwenEye,
      hidden_size: eye,
      intermediate_size: eyeHidden,
      num_position_embeddings: patches,
      deepstack_visual_indexes: [1],
    },
  },
};

const rowEnd = 23;
const pixtralTokens = {
  ...tokenizerFiles,
  "tokenizer.json": {
    ...(tokenizerFiles["tokenizer.json"] as Record<string, unknown>),
    added_tokens: [
      { id: 20, content: "<s>", special: true },
      { id: 21, content: "</s>", special: true },
      { id: rowEnd, content: "[IMG_BREAK]", special: true },
    ],
  },
};

const mistral3: Kind = {
  sees: true,
  layers: "language_model.model.layers.",
  layer: { ...norms, ...attention, ...gated },
  outside: {
    ...inner(decoder, "language_model.model."),
    "language_model.lm_head.weight": [vocabulary, width],
    ...eyes(
      "vision_tower.transformer.layers.",
      {
        "attention.q_proj.weight": [eye, eye],
        "attention.k_proj.weight": [eye, eye],
        "attention.v_proj.weight": [eye, eye],
        "attention.o_proj.weight": [eye, eye],
        "attention_norm.weight": [eye],
        "ffn_norm.weight": [eye],
        "feed_forward.gate_proj.weight": [eyeHidden, eye],
        "feed_forward.up_proj.weight": [eyeHidden, eye],
        "feed_forward.down_proj.weight": [eye, eyeHidden],
      },
      {
        "vision_tower.patch_conv.weight": [eye, 3, patch, patch],
        "vision_tower.ln_pre.weight": [eye],
        "multi_modal_projector.norm.weight": [eye],
        "multi_modal_projector.patch_merger.merging_layer.weight": [eye, merged],
        "multi_modal_projector.linear_1.weight": [width, eye],
        "multi_modal_projector.linear_2.weight": [width, width],
      },
    ),
  },
  config: {
    head_dim: headDim,
    spatial_merge_size: 2,
    vision_config: {
      model_type: "pixtral",
      hidden_size: eye,
      intermediate_size: eyeHidden,
      num_hidden_layers: eyeLayers,
      num_attention_heads: 3,
      image_size: side,
      patch_size: patch,
      hidden_act: "silu",
    },
  },
  files: pixtralTokens,
};

const llama4Dense: Shapes = {
  "feed_forward.gate_proj.weight": [2 * hidden, width],
  "feed_forward.up_proj.weight": [2 * hidden, width],
  "feed_forward.down_proj.weight": [width, 2 * hidden],
};
const llama4Experts: Shapes = {
  "feed_forward.router.weight": [4, width],
  "feed_forward.experts.gate_up_proj": [4, width, 2 * hidden],
  "feed_forward.experts.down_proj": [4, hidden, width],
  "feed_forward.shared_expert.gate_proj.weight": [hidden, width],
  "feed_forward.shared_expert.up_proj.weight": [hidden, width],
  "feed_forward.shared_expert.down_proj.weight": [width, hidden],
};
const llama4: Kind = {
  sees: true,
  // Every fourth layer sees all; llama.cpp wants one.
  count: 4,
  layers: "language_model.model.layers.",
  layer: (layer) => ({
    ...norms,
    ...attention,
    ...(layer % 2 === 1 ? llama4Experts : llama4Dense),
  }),
  outside: {
    ...inner(decoder, "language_model.model."),
    "language_model.lm_head.weight": [vocabulary, width],
    ...eyes(
      "vision_model.model.layers.",
      biases({
        "self_attn.q_proj.weight": [eye, eye],
        "self_attn.k_proj.weight": [eye, eye],
        "self_attn.v_proj.weight": [eye, eye],
        "self_attn.o_proj.weight": [eye, eye],
        "input_layernorm.weight": [eye],
        "post_attention_layernorm.weight": [eye],
        "mlp.fc1.weight": [eyeHidden, eye],
        "mlp.fc2.weight": [eye, eyeHidden],
      }),
      {
        ...biases({
          "vision_model.layernorm_pre.weight": [eye],
          "vision_model.layernorm_post.weight": [eye],
        }),
        "vision_model.class_embedding": [eye],
        "vision_model.positional_embedding_vlm": [patches + 1, eye],
        "vision_model.patch_embedding.linear.weight": [eye, 3 * patch * patch],
        "vision_model.vision_adapter.mlp.fc1.weight": [eyeHidden, 4 * eye],
        "vision_model.vision_adapter.mlp.fc2.weight": [eyeHidden, eyeHidden],
        "multi_modal_projector.linear_1.weight": [width, eyeHidden],
      },
    ),
  },
  config: {
    head_dim: headDim,
    intermediate_size_mlp: 2 * hidden,
    interleave_moe_layer_step: 2,
    num_local_experts: 4,
    num_experts_per_tok: 1,
    vision_config: {
      hidden_size: eye,
      intermediate_size: eyeHidden,
      num_hidden_layers: eyeLayers,
      num_attention_heads: 3,
      image_size: side,
      patch_size: patch,
      norm_eps: 1e-5,
      pixel_shuffle_ratio: 0.5,
    },
  },
};

export const sighted: Record<string, Kind> = {
  Gemma3ForConditionalGeneration: gemma3,
  Qwen2VLForConditionalGeneration: qwen2vl,
  Qwen2_5_VLForConditionalGeneration: qwen25vl,
  Qwen3VLForConditionalGeneration: qwen3vl,
  Qwen3VLMoeForConditionalGeneration: {
    ...qwen3vl,
    layer: {
      ...norms,
      ...attention,
      ...headNorms,
      "mlp.gate.weight": [4, width],
      "mlp.experts.gate_up_proj": [4, width, 2 * hidden],
      "mlp.experts.down_proj": [4, hidden, width],
    },
    config: {
      ...qwen3vl.config,
      num_experts: 4,
      num_experts_per_tok: 2,
      moe_intermediate_size: hidden,
    },
  },
  Mistral3ForConditionalGeneration: mistral3,
  Ministral3ForCausalLM: {
    layer: { ...norms, ...attention, ...gated },
    outside: untied,
    config: {
      head_dim: headDim,
      rope_parameters: {
        rope_type: "yarn",
        rope_theta: 10000,
        factor: 4,
        original_max_position_embeddings: 16,
        beta_fast: 32,
        beta_slow: 1,
        mscale_all_dim: 1,
        llama_4_scaling_beta: 0.1,
      },
    },
  },
  Llama4ForConditionalGeneration: llama4,
};
