/** Llama and Mistral, and Mixtral, whose experts are stacked. */
import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  ropeConfig,
  ropeMetadata,
  ropeTheta,
  ropeType,
} from "../architecture.ts";
import { attentionOf, type Config } from "../config.ts";
import { maybe, u32 } from "../metadata.ts";
import { constant, interleaved } from "../weights.ts";

const { fround } = Math;

/** Factors by which Llama 3.1 divides frequencies: the lower, the more. */
function llama3Factors(config: Config): Float32Array | undefined {
  const rope = ropeConfig(config);
  if (rope === undefined || ropeType(config) !== "llama3") return undefined;
  const { headDim } = attentionOf(config);
  const factor = rope.number("factor", 8);
  const low = rope.number("low_freq_factor", 1);
  const high = rope.number("high_freq_factor", 4);
  const original = rope.number("original_max_position_embeddings", 8192);
  const theta = ropeTheta(config) ?? 10000;
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const wave = 2 * Math.PI * theta ** ((2 * i) / headDim);
    if (wave < original / high) return 1;
    if (wave > original / low) return factor;
    // Rounded to float32 at each step, as the recorded files are.
    const ratio = fround(original / fround(wave));
    const smooth = fround(fround(ratio - low) / (high - low));
    return 1 / fround(fround((1 - smooth) / factor) + smooth);
  });
}

export const llama: Architecture = {
  classes: ["LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"],
  name: "llama",
  metadata({ config }) {
    const attention = attentionOf(config);
    return {
      ...decoderMetadata(config, attention),
      ...ropeMetadata(config),
      vocab_size: u32(config.whole("vocab_size")),
      "rope.dimension_count": u32(attention.headDim),
      "attention.key_length": maybe(config.maybeWhole("head_dim"), u32),
      "attention.value_length": maybe(config.maybeWhole("head_dim"), u32),
      expert_count: maybe(config.maybeWhole("num_local_experts"), u32),
      expert_used_count: maybe(config.maybeWhole("num_experts_per_tok"), u32),
    };
  },
  names: [
    ["block_sparse_moe.gate.", "ffn_gate_inp."],
    ["block_sparse_moe.experts.w1.", "ffn_gate_exps."],
    ["block_sparse_moe.experts.w2.", "ffn_down_exps."],
    ["block_sparse_moe.experts.w3.", "ffn_up_exps."],
    ...decoderNames,
  ],
  skip: buffers,
  plan(name, weights, { config }) {
    const { heads, kvHeads } = attentionOf(config);
    const rotary = /\.attn_([qk])\.(weight|bias)$/.exec(name)?.[1];
    if (rotary === undefined) return undefined;
    return [{ name, weights: interleaved(weights, rotary === "q" ? heads : kvHeads) }];
  },
  extra({ config }) {
    const factors = llama3Factors(config);
    return factors === undefined
      ? []
      : [{ name: "rope_freqs.weight", weights: constant("rope_freqs", factors) }];
  },
};
