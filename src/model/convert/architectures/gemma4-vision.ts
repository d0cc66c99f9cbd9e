/** The part of Gemma 4 that sees: an encoder with positions in rows and columns, pooled by three. */

import { ConvertError } from "../../../errors.ts";
import type { Projector, SourceModel } from "../architecture.ts";
import type { Metadata } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { chosen } from "../slices.ts";
import { visionMetadata, visionOf } from "../vision.ts";
import { reshaped, type Weights } from "../weights.ts";

/** Pictures have any size here; the loader wants a number. */
const anySide = 224;

function metadata(model: SourceModel): Metadata {
  const vision = visionOf(model);
  return visionMetadata(model, {
    kind: "gemma4v",
    width: vision.whole("hidden_size"),
    hidden: vision.whole("intermediate_size"),
    layers: vision.whole("num_hidden_layers"),
    heads: vision.whole("num_attention_heads"),
    side: anySide,
    epsilon: vision.number("layer_norm_eps", 1e-6),
    activation: "quick",
    colors: { mean: [0, 0, 0], std: [1, 1, 1] },
  });
}

/** A matrix over the numbers of a patch, pixel by pixel, as a convolution, color by color. */
export function pixelsToColors(name: string, weights: Weights, patch: number): Planned[] {
  const [channels = 0, numbers = 0] = weights.shape;
  if (numbers !== 3 * patch * patch) {
    throw new ConvertError(
      `tensor "${weights.name}" [${weights.shape}] is not for patches of ${patch}`,
    );
  }
  const order = [0, 1, 2].flatMap((color) =>
    Array.from({ length: patch * patch }, (_, pixel) => pixel * 3 + color),
  );
  const shape = [channels, 3, patch, patch];
  return [{ name, weights: reshaped(chosen(weights, 1, order), shape) }];
}

export const gemma4Projector: Projector = {
  parts: /^(model\.)?(vision_tower|embed_vision)\./,
  metadata,
  names: [
    [/^model\./, ""],
    ["vision_tower.encoder.layers.", "v.blk."],
    ["vision_tower.patch_embedder.input_proj.", "v.patch_embd."],
    ["vision_tower.patch_embedder.position_embedding_table", "v.position_embd.weight"],
    ["vision_tower.std_", "v.std_"],
    ["embed_vision.embedding_projection.", "mm.input_projection."],
    [".linear.weight", ".weight"],
    ["self_attn.o_proj.", "attn_out."],
    ["self_attn.q_proj.", "attn_q."],
    ["self_attn.k_proj.", "attn_k."],
    ["self_attn.v_proj.", "attn_v."],
    ["self_attn.q_norm.", "attn_q_norm."],
    ["self_attn.k_norm.", "attn_k_norm."],
    ["pre_feedforward_layernorm.", "ln2."],
    ["post_feedforward_layernorm.", "ffn_post_norm."],
    ["input_layernorm.", "ln1."],
    ["post_attention_layernorm.", "attn_post_norm."],
    ["layer_scalar", "out_scale.weight"],
    ["mlp.gate_proj.", "ffn_gate."],
    ["mlp.up_proj.", "ffn_up."],
    ["mlp.down_proj.", "ffn_down."],
  ],
  plan(name, weights, model) {
    if (name === "v.patch_embd.weight") {
      return pixelsToColors(name, weights, visionOf(model).whole("patch_size"));
    }
    return weights.shape.length === 0 ? [{ name, weights: reshaped(weights, [1]) }] : undefined;
  },
};
