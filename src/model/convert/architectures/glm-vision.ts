/** GLM-4V and GLM-OCR: pictures for GLM 4, whose heads then turn with time, height and width. */
import {
  type Architecture,
  type Projector,
  ropeConfig,
  type SourceModel,
  textPrefixes,
} from "../architecture.ts";
import { attentionOf, type Config } from "../config.ts";
import { integers, type Metadata, maybe, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { chosen } from "../slices.ts";
import { clipColors, visionMetadata, visionOf } from "../vision.ts";
import type { Weights } from "../weights.ts";
import { glm4, rotaryPart } from "./glm.ts";
import { frames } from "./qwen-vision.ts";

const sectionsOf = (config: Config) => ropeConfig(config)?.numbers("mrope_section");

/**
 * Rows of heads as llama.cpp turns them in three dimensions: of each head's first part the even ones, then
 * the odd ones; the rest as it is.
 */
function byHalves(weights: Weights, config: Config): Weights {
  const { headDim } = attentionOf(config);
  const turning = Math.floor(headDim * rotaryPart(config));
  const half = turning / 2;
  const within = Array.from({ length: headDim }, (_, i) => {
    if (i >= turning) return i;
    return i < half ? 2 * i : 2 * (i - half) + 1;
  });
  const rows = weights.shape[0] ?? 0;
  return chosen(
    weights,
    0,
    Array.from({ length: rows }, (_, row) => {
      const inHead = row % headDim;
      return row - inHead + (within[inHead] ?? 0);
    }),
  );
}

function plan(name: string, weights: Weights, { config }: SourceModel): Planned[] | undefined {
  if (sectionsOf(config) === undefined || !/\.attn_[qk]\.(weight|bias)$/.test(name)) {
    return undefined;
  }
  return [{ name, weights: byHalves(weights, config) }];
}

function visionKeys(model: SourceModel): Metadata {
  const vision = visionOf(model);
  const patch = vision.whole("patch_size");
  return {
    ...visionMetadata(model, {
      kind: "glm4v",
      width: vision.whole("hidden_size"),
      hidden: vision.whole("intermediate_size"),
      layers: vision.whole("depth"),
      heads: vision.whole("num_heads"),
      side: vision.maybeWhole("image_size") ?? 24 * patch,
      epsilon: vision.number("rms_norm_eps", 1e-5),
      activation: vision.text("hidden_act") === "gelu" ? "gelu" : "silu",
      colors: clipColors,
    }),
    "clip.vision.spatial_merge_size": maybe(vision.maybeWhole("spatial_merge_size"), u32),
  };
}

const projector: Projector = {
  parts: /^(model\.)?visual\./,
  metadata: visionKeys,
  names: [
    [/^model\./, ""],
    ["visual.blocks.", "v.blk."],
    ["visual.patch_embed.proj.", "v.patch_embd."],
    ["visual.embeddings.position_embedding.", "v.position_embd."],
    ["visual.post_conv_layernorm.", "v.norm_embd."],
    ["visual.post_layernorm.", "v.post_ln."],
    ["visual.downsample.", "mm.patch_merger."],
    ["visual.merger.proj.", "mm.model.fc."],
    ["visual.merger.post_projection_norm.", "mm.post_norm."],
    ["visual.merger.gate_proj.", "mm.gate."],
    ["visual.merger.up_proj.", "mm.up."],
    ["visual.merger.down_proj.", "mm.down."],
    ["attn.q_norm.", "attn_q_norm."],
    ["attn.k_norm.", "attn_k_norm."],
    ["attn.qkv.", "attn_qkv."],
    ["attn.proj.", "attn_out."],
    [/\.norm1\./, ".ln1."],
    [/\.norm2\./, ".ln2."],
    ["mlp.gate_proj.", "ffn_gate."],
    ["mlp.up_proj.", "ffn_up."],
    ["mlp.down_proj.", "ffn_down."],
  ],
  plan: (name, weights) => (name === "v.patch_embd.weight" ? frames(weights) : undefined),
};

export const glm4v: Architecture = {
  ...glm4,
  classes: ["Glm4vForConditionalGeneration", "GlmOcrForConditionalGeneration"],
  metadata: (model) => ({
    ...glm4.metadata(model),
    "rope.dimension_sections": maybe(sectionsOf(model.config), (given) =>
      integers([...given, 0, 0, 0, 0].slice(0, 4)),
    ),
  }),
  names: [...textPrefixes, ...glm4.names],
  plan,
  projector,
};
