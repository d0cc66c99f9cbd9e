/** A tiny GLM-4V, and GLM-OCR, which has norms in its encoder's heads and no learned positions. */
import {
  attention,
  biases,
  hidden,
  type Kind,
  norms,
  type Shapes,
  vocabulary,
  width,
} from "./shapes.ts";

const eye = 48;
const eyeHidden = 80;
const patch = 8;

const layer: Shapes = {
  ...norms,
  ...attention,
  "post_self_attn_layernorm.weight": [width],
  "post_mlp_layernorm.weight": [width],
  "mlp.gate_up_proj.weight": [2 * hidden, width],
  "mlp.down_proj.weight": [width, hidden],
};
const text: Shapes = {
  "model.language_model.embed_tokens.weight": [vocabulary, width],
  "model.language_model.norm.weight": [width],
  "lm_head.weight": [vocabulary, width],
};
const eyeLayer: Shapes = {
  "norm1.weight": [eye],
  "norm2.weight": [eye],
  "attn.qkv.weight": [3 * eye, eye],
  "attn.proj.weight": [eye, eye],
  "mlp.gate_proj.weight": [eyeHidden, eye],
  "mlp.up_proj.weight": [eyeHidden, eye],
  "mlp.down_proj.weight": [eye, eyeHidden],
};
const headNorms: Shapes = { "attn.q_norm.weight": [16], "attn.k_norm.weight": [16] };

const eyes = (shapes: Shapes): Shapes => ({
  ...Object.fromEntries(
    [0, 1].flatMap((i) =>
      Object.entries(shapes).map(([name, shape]) => [`model.visual.blocks.${i}.${name}`, shape]),
    ),
  ),
  "model.visual.patch_embed.proj.weight": [eye, 3, 2, patch, patch],
  "model.visual.patch_embed.proj.bias": [eye],
  "model.visual.post_conv_layernorm.weight": [eye],
  "model.visual.post_layernorm.weight": [eye],
  ...biases({
    "model.visual.downsample.weight": [width, eye, 2, 2],
    "model.visual.merger.post_projection_norm.weight": [width],
  }),
  "model.visual.merger.proj.weight": [width, width],
  "model.visual.merger.gate_proj.weight": [hidden, width],
  "model.visual.merger.up_proj.weight": [hidden, width],
  "model.visual.merger.down_proj.weight": [width, hidden],
});

const config = {
  max_position_embeddings: 512,
  rope_parameters: {
    rope_type: "default",
    rope_theta: 10000,
    partial_rotary_factor: 0.5,
    mrope_section: [1, 1, 2],
  },
  vision_config: {
    depth: 2,
    num_heads: 3,
    hidden_size: eye,
    intermediate_size: eyeHidden,
    patch_size: patch,
    image_size: 64,
    spatial_merge_size: 2,
  },
};
const common = { sees: true, layers: "model.language_model.layers.", layer };

export const glmVision: Record<string, Kind> = {
  Glm4vForConditionalGeneration: {
    ...common,
    outside: {
      ...text,
      ...eyes(eyeLayer),
      "model.visual.embeddings.position_embedding.weight": [64, eye],
    },
    config,
  },
  GlmOcrForConditionalGeneration: {
    ...common,
    outside: {
      ...text,
      ...eyes({ ...eyeLayer, ...headNorms }),
      "model.language_model.layers.2.eh_proj.weight": [width, 2 * width],
    },
    config: { ...config, num_nextn_predict_layers: 1 },
  },
};
