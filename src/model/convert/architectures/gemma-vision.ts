/** The part of Gemma 3 that sees: SigLIP, and a projection of pooled patches. */

import { ConvertError } from "../../../errors.ts";
import type { Projector, SourceModel } from "../architecture.ts";
import { type Metadata, u32 } from "../metadata.ts";
import { plainColors, preparation, visionMetadata, visionOf } from "../vision.ts";

/** Patches that are pooled to one, a side: llama.cpp takes 4, as all sizes of Gemma 3 have. */
const usualPooling = 4;

function metadata(model: SourceModel): Metadata {
  const vision = visionOf(model);
  const side = vision.whole("image_size");
  const tokens =
    model.config.maybeWhole("mm_tokens_per_image") ??
    preparation(model).maybeWhole("image_seq_length") ??
    256;
  const pooling = Math.floor(side / vision.whole("patch_size") / Math.floor(Math.sqrt(tokens)));
  if (pooling < 1) {
    throw new ConvertError(`config.json: ${tokens} tokens are more than a picture has patches`);
  }
  return {
    ...visionMetadata(model, {
      kind: "gemma3",
      width: vision.whole("hidden_size"),
      hidden: vision.whole("intermediate_size"),
      layers: vision.whole("num_hidden_layers"),
      heads: vision.whole("num_attention_heads"),
      side,
      epsilon: vision.number("layer_norm_eps", 1e-6),
      activation: "gelu",
      colors: plainColors,
    }),
    "clip.vision.projector.scale_factor": pooling === usualPooling ? undefined : u32(pooling),
  };
}

export const gemma3Projector: Projector = {
  parts: /^(model\.)?(vision_tower|multi_modal_projector)\.(?!vision_model\.head\.)/,
  metadata,
  names: [
    [/^model\./, ""],
    ["vision_tower.vision_model.encoder.layers.", "v.blk."],
    ["vision_tower.vision_model.embeddings.patch_embedding.", "v.patch_embd."],
    ["vision_tower.vision_model.embeddings.position_embedding.", "v.position_embd."],
    ["vision_tower.vision_model.post_layernorm.", "v.post_ln."],
    ["self_attn.out_proj.", "attn_out."],
    ["self_attn.q_proj.", "attn_q."],
    ["self_attn.k_proj.", "attn_k."],
    ["self_attn.v_proj.", "attn_v."],
    ["layer_norm1.", "ln1."],
    ["layer_norm2.", "ln2."],
    ["mlp.fc1.", "ffn_up."],
    ["mlp.fc2.", "ffn_down."],
    ["multi_modal_projector.mm_input_projection_weight", "mm.input_projection.weight"],
    ["multi_modal_projector.mm_soft_emb_norm.", "mm.soft_emb_norm."],
  ],
  plan(name, weights) {
    // The norm of the projection is stored less one; those of SigLIP are not.
    return name === "mm.soft_emb_norm.weight"
      ? [{ name, weights, change: (value) => value + 1 }]
      : undefined;
  },
};
