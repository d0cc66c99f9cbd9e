/**
 * What parts of models that see have in common: their place in config.json, the keys that llama.cpp's
 * loader of projectors (tools/mtmd) wants, and how its tensors are stored.
 */
import type { Projector, SourceModel } from "./architecture.ts";
import { Config } from "./config.ts";
import { f32, flag, floats, type Metadata, text, u32 } from "./metadata.ts";
import { isObject } from "./source.ts";

/** Means and deviations by channel, as CLIP was trained with. */
export const clipColors = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
};
/** The middle of the range. */
export const plainColors = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };

/** `vision_config`. @throws ConvertError when there is none */
export function visionOf({ config }: SourceModel): Config {
  const vision = config.object("vision_config");
  return vision ?? new Config({}, "config.json: vision_config");
}

/** How pictures are prepared; newer repositories keep it in `processor_config.json`. */
export function preparation({ files }: SourceModel): Config {
  const older = files.optional("preprocessor_config.json") ?? {};
  const newer = files.optional("processor_config.json")?.image_processor;
  const name = "preprocessor_config.json";
  return new Config({ ...older, ...(isObject(newer) ? newer : {}) }, name);
}

export interface Sight {
  /** llama.cpp's name of the projector (clip-impl.h, PROJECTOR_TYPE_NAMES). */
  readonly kind: string;
  readonly width: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  /** Side of a picture, pixels. */
  readonly side: number;
  readonly epsilon: number;
  /** `quick` is what llama.cpp takes when a file says neither. */
  readonly activation: "gelu" | "silu" | "quick";
  readonly colors: { readonly mean: readonly number[]; readonly std: readonly number[] };
}

/** Keys of every projector for pictures. */
export function visionMetadata(model: SourceModel, sight: Sight): Metadata {
  const prepared = preparation(model);
  return {
    "general.type": text("mmproj"),
    "clip.has_vision_encoder": flag(true),
    "clip.projector_type": text(sight.kind),
    "clip.use_gelu": sight.activation === "gelu" ? flag(true) : undefined,
    "clip.use_silu": sight.activation === "silu" ? flag(true) : undefined,
    "clip.vision.projection_dim": u32(model.config.whole("hidden_size")),
    "clip.vision.image_size": u32(sight.side),
    "clip.vision.patch_size": u32(visionOf(model).whole("patch_size")),
    "clip.vision.embedding_length": u32(sight.width),
    "clip.vision.feed_forward_length": u32(sight.hidden),
    "clip.vision.block_count": u32(sight.layers),
    "clip.vision.attention.head_count": u32(sight.heads),
    "clip.vision.attention.layer_norm_epsilon": f32(sight.epsilon),
    "clip.vision.image_mean": floats(prepared.numbers("image_mean") ?? sight.colors.mean),
    "clip.vision.image_std": floats(prepared.numbers("image_std") ?? sight.colors.std),
  };
}

/** Whether weights came with a part that sees: text-only offspring keep the class, not the tensors. */
export function sees(projector: Projector | undefined, names: Iterable<string>): boolean {
  return projector !== undefined && [...names].some((name) => projector.parts.test(name));
}
