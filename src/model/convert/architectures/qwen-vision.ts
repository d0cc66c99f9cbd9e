/** Qwen 2, 2.5 and 3 VL: positions in three dimensions for the text, two convolutions for two frames. */

import { ConvertError } from "../../../errors.ts";
import {
  type Architecture,
  type Projector,
  type Renaming,
  ropeConfig,
  type SourceModel,
  textPrefixes,
} from "../architecture.ts";
import type { Config } from "../config.ts";
import { flag, integers, type Metadata, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { sliced, splitEvenly } from "../slices.ts";
import { clipColors, plainColors, visionMetadata, visionOf } from "../vision.ts";
import { reshaped, type Weights } from "../weights.ts";
import { fusedExperts } from "./experts.ts";
import { qwen2, qwen3, qwen3moe } from "./qwen.ts";

/** How many pairs of a head turn with time, height and width; llama.cpp wants four numbers. */
function sections(config: Config): Metadata {
  const given = ropeConfig(config)?.numbers("mrope_section");
  if (given === undefined) {
    throw new ConvertError("config.json: rope_scaling: mrope_section must be a list of numbers");
  }
  return { "rope.dimension_sections": integers([...given, 0, 0, 0, 0].slice(0, 4)) };
}

/** The convolution over two frames as one for each. */
export function frames(weights: Weights): Planned[] {
  const [channels = 0, colors = 0, count = 0, height = 0, width = 0] = weights.shape;
  if (weights.shape.length !== 5 || count !== 2) {
    throw new ConvertError(`tensor "${weights.name}" [${weights.shape}] is not for two frames`);
  }
  return ["", ".1"].map((end, frame) => ({
    name: `v.patch_embd.weight${end}`,
    weights: reshaped(sliced(weights, { axis: 2, from: frame, count: 1 }), [
      channels,
      colors,
      height,
      width,
    ]),
  }));
}

const parts = /^(model\.)?visual\./;

const visualNames: Renaming = [
  [/^model\./, ""],
  ["visual.blocks.", "v.blk."],
  ["visual.patch_embed.proj.", "v.patch_embd."],
  ["attn.qkv.", "attn_qkv."],
  ["attn.proj.", "attn_out."],
  ["norm1.", "ln1."],
  ["norm2.", "ln2."],
];

/** In the first two, three matrices where the source has one. */
function separated(name: string, weights: Weights): Planned[] | undefined {
  if (name === "v.patch_embd.weight") return frames(weights);
  if (!name.includes(".attn_qkv.")) return undefined;
  return splitEvenly(weights, 0, 3).map((part, i) => ({
    name: name.replace("qkv", "qkv"[i] ?? ""),
    weights: part,
  }));
}

/** Every how many layers one sees the whole picture. @throws ConvertError when they are not regular */
function fullEvery(vision: Config): number {
  const full = vision.numbers("fullatt_block_indexes") ?? [];
  const every = (full[0] ?? -1) + 1;
  if (every < 1 || !full.every((layer, i) => layer === every * (i + 1) - 1)) {
    throw new ConvertError(`config.json: fullatt_block_indexes [${full}] are not regular`);
  }
  return every;
}

function metadata2(model: SourceModel): Metadata {
  const vision = visionOf(model);
  const second = vision.has("embed_dim");
  const width = vision.whole(second ? "embed_dim" : "hidden_size");
  return {
    ...visionMetadata(model, {
      kind: second ? "qwen2vl_merger" : "qwen2.5vl_merger",
      width,
      hidden: second
        ? Math.floor(width * vision.number("mlp_ratio", 4))
        : vision.whole("intermediate_size"),
      layers: vision.whole("depth"),
      heads: vision.whole("num_heads"),
      side: vision.maybeWhole("image_size") ?? 560,
      epsilon: 1e-6,
      activation: "silu",
      colors: clipColors,
    }),
    // Qwen 2 has neither: its activation is the quick GELU that llama.cpp assumes.
    "clip.use_silu": second ? undefined : flag(true),
    "clip.vision.n_wa_pattern": second ? undefined : u32(fullEvery(vision)),
  };
}

const projector2: Projector = {
  parts,
  metadata: metadata2,
  names: [
    ...visualNames,
    ["visual.merger.ln_q.", "v.post_ln."],
    ["visual.merger.mlp.", "mm."],
    ["mlp.fc1.", "ffn_up."],
    ["mlp.fc2.", "ffn_down."],
    ["mlp.gate_proj.", "ffn_gate."],
    ["mlp.up_proj.", "ffn_up."],
    ["mlp.down_proj.", "ffn_down."],
  ],
  plan: separated,
};

export const qwen2vl: Architecture = {
  ...qwen2,
  classes: ["Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"],
  name: "qwen2vl",
  metadata: (model) => ({ ...qwen2.metadata(model), ...sections(model.config) }),
  names: [...textPrefixes, ...qwen2.names],
  projector: projector2,
};

/** Layers whose results are added to those of the text's first layers. */
function deepLayers(model: SourceModel): number[] {
  return visionOf(model).numbers("deepstack_visual_indexes") ?? [];
}

function metadata3(model: SourceModel): Metadata {
  const vision = visionOf(model);
  const layers = vision.whole("depth");
  const deep = deepLayers(model);
  const patches = vision.maybeWhole("num_position_embeddings") ?? 2304;
  return {
    ...visionMetadata(model, {
      kind: "qwen3vl_merger",
      width: vision.whole("hidden_size"),
      hidden: vision.whole("intermediate_size"),
      layers,
      heads: vision.whole("num_heads"),
      side:
        vision.maybeWhole("image_size") ??
        Math.floor(Math.sqrt(patches)) * vision.whole("patch_size"),
      epsilon: model.config.number("rms_norm_eps", 1e-6),
      activation: "gelu",
      colors: plainColors,
    }),
    "clip.vision.spatial_merge_size": u32(vision.maybeWhole("spatial_merge_size") ?? 2),
    "clip.vision.is_deepstack_layers": {
      type: "array",
      of: "bool",
      values: Array.from({ length: layers }, (_, layer) => Number(deep.includes(layer))),
    },
  };
}

export const projector3: Projector = {
  parts,
  metadata: metadata3,
  names: [
    ...visualNames,
    ["visual.pos_embed.", "v.position_embd."],
    ["visual.merger.norm.", "v.post_ln."],
    ["visual.merger.linear_fc1.", "mm.0."],
    ["visual.merger.linear_fc2.", "mm.2."],
    ["visual.deepstack_merger_list.", "v.deepstack."],
    ["mlp.linear_fc1.", "ffn_up."],
    ["mlp.linear_fc2.", "ffn_down."],
    [".linear_fc1.", ".fc1."],
    [".linear_fc2.", ".fc2."],
  ],
  plan(name, weights, model) {
    if (name === "v.patch_embd.weight") return frames(weights);
    // Counted in the source; llama.cpp names the layer that they follow.
    const at = /^v\.deepstack\.(\d+)\./.exec(name)?.[1];
    if (at === undefined) return undefined;
    const layer = deepLayers(model)[Number(at)];
    if (layer === undefined) {
      throw new ConvertError(
        `tensor "${weights.name}": deepstack_visual_indexes has no layer ${at}`,
      );
    }
    return [{ name: name.replace(`.${at}.`, `.${layer}.`), weights }];
  },
};

function text3(model: SourceModel): Metadata {
  return { ...sections(model.config), n_deepstack_layers: u32(deepLayers(model).length) };
}

export const qwen3vl: Architecture = {
  ...qwen3,
  classes: ["Qwen3VLForConditionalGeneration"],
  name: "qwen3vl",
  metadata: (model) => ({ ...qwen3.metadata(model), ...text3(model) }),
  names: [...textPrefixes, ...qwen3.names],
  projector: projector3,
};

export const qwen3vlmoe: Architecture = {
  ...qwen3moe,
  classes: ["Qwen3VLMoeForConditionalGeneration"],
  name: "qwen3vlmoe",
  metadata: (model) => ({ ...qwen3moe.metadata(model), ...text3(model) }),
  names: [...textPrefixes, ...qwen3moe.names],
  plan: (name, weights) => fusedExperts(name, weights, true),
  projector: projector3,
};
