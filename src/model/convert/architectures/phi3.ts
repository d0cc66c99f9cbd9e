/** Phi-3 and Phi-4: fused projections, two sets of rotary factors for long contexts. */
import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  ropeConfig,
  ropeTheta,
  ropeType,
} from "../architecture.ts";
import { attentionOf, type Config } from "../config.ts";
import { f32, maybe, u32 } from "../metadata.ts";
import { constant } from "../weights.ts";

/** By how much longer contexts are than those trained first. */
function stretch(config: Config): { scale: number; original: number } {
  const longest = config.whole("max_position_embeddings");
  const original =
    config.maybeWhole("original_max_position_embeddings") ??
    ropeConfig(config)?.maybeWhole("original_max_position_embeddings") ??
    longest;
  return { scale: longest / original, original };
}

/** Factor on attention for stretched contexts; 1 is left out. */
function attentionFactor(config: Config): number | undefined {
  const { scale, original } = stretch(config);
  const type = ropeType(config);
  if (scale <= 1 || type === undefined) return undefined;
  return type === "yarn"
    ? 0.1 * Math.log(scale) + 1
    : Math.sqrt(1 + Math.log(scale) / Math.log(original));
}

export const phi3: Architecture = {
  classes: ["Phi3ForCausalLM"],
  name: "phi3",
  metadata({ config }) {
    const attention = attentionOf(config);
    const part =
      ropeConfig(config)?.maybeNumber("partial_rotary_factor") ??
      config.number("partial_rotary_factor", 1);
    return {
      ...decoderMetadata(config, attention),
      "rope.freq_base": maybe(ropeTheta(config), f32),
      "rope.dimension_count": u32(Math.floor(part * attention.headDim)),
      "rope.scaling.original_context_length": u32(stretch(config).original),
      "rope.scaling.attn_factor": maybe(attentionFactor(config), f32),
      // Zero says that all layers see everything, which tells Phi-4 from its elder siblings.
      "attention.sliding_window": u32(config.maybeWhole("sliding_window") ?? 0),
    };
  },
  names: [["self_attn.qkv_proj.", "attn_qkv."], ["mlp.gate_up_proj.", "ffn_up."], ...decoderNames],
  skip: buffers,
  extra({ config }) {
    const rope = ropeConfig(config);
    const sets = [
      ["rope_factors_long.weight", rope?.numbers("long_factor")],
      ["rope_factors_short.weight", rope?.numbers("short_factor")],
    ] as const;
    return sets.flatMap(([name, factors]) =>
      factors === undefined ? [] : [{ name, weights: constant(name, Float32Array.from(factors)) }],
    );
  },
};
