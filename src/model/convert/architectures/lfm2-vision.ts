/** LFM 2 VL: SigLIP 2 before the text of LFM 2; patches are merged by two. */

import { ConvertError } from "../../../errors.ts";
import {
  type Architecture,
  type Projector,
  type SourceModel,
  textPrefixes,
} from "../architecture.ts";
import { type Metadata, u32 } from "../metadata.ts";
import { plainColors, visionMetadata, visionOf } from "../vision.ts";
import { gemma3Projector } from "./gemma-vision.ts";
import { pixelsToColors } from "./gemma4-vision.ts";
import { lfm2 } from "./lfm2.ts";

/** Pictures have any size here; the loader wants a number. */
const anySide = 256;

/** Layers whose result is used: by custom all, else up to one that is counted from the end. */
function usedLayers({ config }: SourceModel, layers: number): number {
  const feature = Number(config.raw("vision_feature_layer") ?? -1);
  const used = layers + feature + 1;
  if (Number.isInteger(feature) && feature < 0 && used > 0) return used;
  throw new ConvertError(`config.json: vision_feature_layer must be from -${layers} to -1`);
}

function metadata(model: SourceModel): Metadata {
  const vision = visionOf(model);
  return {
    ...visionMetadata(model, {
      kind: "lfm2",
      width: vision.whole("hidden_size"),
      hidden: vision.whole("intermediate_size"),
      layers: usedLayers(model, vision.whole("num_hidden_layers")),
      heads: vision.whole("num_attention_heads"),
      side: anySide,
      epsilon: vision.number("layer_norm_eps", 1e-6),
      activation: "gelu",
      colors: plainColors,
    }),
    "clip.vision.projector.scale_factor": u32(model.config.maybeWhole("downsample_factor") ?? 2),
  };
}

const projector: Projector = {
  ...gemma3Projector,
  metadata,
  names: [
    ...gemma3Projector.names,
    ["multi_modal_projector.layer_norm.", "mm.input_norm."],
    ["multi_modal_projector.linear_", "mm."],
  ],
  plan(name, weights, model) {
    if (name !== "v.patch_embd.weight") return undefined;
    return pixelsToColors(name, weights, visionOf(model).whole("patch_size"));
  },
};

export const lfm2vl: Architecture = {
  ...lfm2,
  classes: ["Lfm2VlForConditionalGeneration"],
  names: [...textPrefixes, ...lfm2.names],
  projector,
};
