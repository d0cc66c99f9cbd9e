/** DeepSeek V2 and V3, and GLM 4.7 Flash: attention with compressed keys and values (MLA), many experts. */
import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  ropeConfig,
  ropeMetadata,
  type SourceModel,
} from "../architecture.ts";
import type { Config } from "../config.ts";
import { f32, type Metadata, maybe, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { splitAt } from "../slices.ts";
import { reshaped, transposed, type Weights } from "../weights.ts";
import { expertMetadata, expertNames } from "./experts.ts";
import { glmTokenizer } from "./glm.ts";

/** Sizes of a head: the part of keys without position, that with it, values; and of what is kept. */
function headOf(config: Config) {
  return {
    heads: config.whole("num_attention_heads"),
    plain: config.whole("qk_nope_head_dim"),
    rotary: config.whole("qk_rope_head_dim"),
    value: config.whole("v_head_dim"),
    kept: config.whole("kv_lora_rank"),
  };
}

function deepseekMetadata({ config }: SourceModel): Metadata {
  const { heads, plain, rotary, value, kept } = headOf(config);
  // llama.cpp keeps one compressed head that all queries share, and multiplies values out afterwards.
  const attention = {
    width: config.whole("hidden_size"),
    heads,
    kvHeads: 1,
    headDim: kept + rotary,
  };
  const scale = ropeConfig(config)?.maybeNumber("mscale_all_dim");
  return {
    ...decoderMetadata(config, attention),
    ...ropeMetadata(config),
    ...expertMetadata(config),
    expert_shared_count: u32(config.maybeCount("n_shared_experts") ?? 0),
    vocab_size: u32(config.whole("vocab_size")),
    "attention.q_lora_rank": maybe(config.maybeWhole("q_lora_rank"), u32),
    "attention.kv_lora_rank": u32(kept),
    "attention.key_length": u32(kept + rotary),
    "attention.value_length": u32(kept),
    "attention.key_length_mla": u32(plain + rotary),
    "attention.value_length_mla": u32(value),
    "rope.dimension_count": u32(rotary),
    // A tenth, which llama.cpp takes out again when it loads this architecture.
    "rope.scaling.yarn_log_multiplier": maybe(scale, (number) => f32(0.1 * number)),
  };
}

/** Keys and values come out of one matrix; keys are turned, so that queries can be multiplied with them. */
function unfolded(name: string, weights: Weights, config: Config): Planned[] {
  const { heads, plain, value, kept } = headOf(config);
  const [keys, values] = splitAt(reshaped(weights, [heads, plain + value, kept]), 1, [
    plain,
    value,
  ]) as [Weights, Weights];
  return [
    { name: name.replace("attn_kv_b", "attn_k_b"), weights: transposed(keys) },
    { name: name.replace("attn_kv_b", "attn_v_b"), weights: values },
  ];
}

export const deepseek2: Architecture = {
  classes: ["DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"],
  name: "deepseek2",
  metadata: deepseekMetadata,
  names: [
    ["self_attn.q_a_proj.", "attn_q_a."],
    ["self_attn.q_a_layernorm.", "attn_q_a_norm."],
    ["self_attn.q_b_proj.", "attn_q_b."],
    ["self_attn.kv_a_proj_with_mqa.", "attn_kv_a_mqa."],
    ["self_attn.kv_a_layernorm.", "attn_kv_a_norm."],
    ["self_attn.kv_b_proj.", "attn_kv_b."],
    ...expertNames,
    ...decoderNames,
  ],
  skip: buffers,
  plan(name, weights, { config }) {
    return name.endsWith("attn_kv_b.weight") ? unfolded(name, weights, config) : undefined;
  },
};

export const glm4MoeLite: Architecture = {
  ...deepseek2,
  classes: ["Glm4MoeLiteForCausalLM"],
  tokenizer: glmTokenizer,
};
