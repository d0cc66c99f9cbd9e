/** A tiny LFM 2 VL: its decoder with an encoder of patches that are lists of pixels. */
import { lfm, lfmConfig, lfmDense, lfmOutside } from "./mixtures.ts";
import { biases, type Kind, type Shapes, width } from "./shapes.ts";

const eye = 48;
const eyeHidden = 80;
const patch = 8;

const eyeLayer: Shapes = biases({
  "self_attn.q_proj.weight": [eye, eye],
  "self_attn.k_proj.weight": [eye, eye],
  "self_attn.v_proj.weight": [eye, eye],
  "self_attn.out_proj.weight": [eye, eye],
  "layer_norm1.weight": [eye],
  "layer_norm2.weight": [eye],
  "mlp.fc1.weight": [eyeHidden, eye],
  "mlp.fc2.weight": [eye, eyeHidden],
});
const tower = "model.vision_tower.vision_model.";

export const lfm2vl: Record<string, Kind> = {
  Lfm2VlForConditionalGeneration: {
    sees: true,
    layers: "model.language_model.layers.",
    layer: (layer) => ({ ...lfm(layer), ...lfmDense }),
    outside: {
      ...Object.fromEntries(
        Object.entries(lfmOutside).map(([name, shape]) => [
          name.replace(/^model\./, "model.language_model."),
          shape,
        ]),
      ),
      ...Object.fromEntries(
        [0, 1].flatMap((layer) =>
          Object.entries(eyeLayer).map(([name, shape]) => [
            `${tower}encoder.layers.${layer}.${name}`,
            shape,
          ]),
        ),
      ),
      ...biases({
        [`${tower}post_layernorm.weight`]: [eye],
        "model.multi_modal_projector.layer_norm.weight": [4 * eye],
        "model.multi_modal_projector.linear_1.weight": [eyeHidden, 4 * eye],
        "model.multi_modal_projector.linear_2.weight": [width, eyeHidden],
      }),
      [`${tower}embeddings.patch_embedding.weight`]: [eye, 3 * patch * patch],
      [`${tower}embeddings.patch_embedding.bias`]: [eye],
      [`${tower}embeddings.position_embedding.weight`]: [64, eye],
    },
    config: {
      ...lfmConfig,
      max_position_embeddings: 512,
      downsample_factor: 2,
      vision_config: {
        hidden_size: eye,
        intermediate_size: eyeHidden,
        num_hidden_layers: 2,
        num_attention_heads: 3,
        patch_size: patch,
      },
    },
  },
};
