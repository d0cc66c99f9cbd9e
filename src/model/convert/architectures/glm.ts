/** GLM 4 and 4.5: half of each head turns with the position; the second has experts. */
import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  ropeConfig,
  ropeMetadata,
} from "../architecture.ts";
import { attentionOf, type Config } from "../config.ts";
import { type Metadata, maybe, text, u32 } from "../metadata.ts";
import type { Vocabulary } from "../tokenizer/vocabulary.ts";
import { expertMetadata, expertNames, gating } from "./experts.ts";

/** Turns end where the next one is announced; the expression of the pre-tokenizer is Llama 3's, its rules are not. */
export function glmTokenizer({ added }: Vocabulary): Metadata {
  return {
    pre: text("glm4"),
    bos_token_id: maybe(added.get("[gMASK]"), u32),
    eot_token_id: maybe(added.get("<|user|>"), u32),
    eom_token_id: maybe(added.get("<|observation|>"), u32),
    unknown_token_id: maybe(added.get("<|endoftext|>"), u32),
  };
}

/** How much of each head turns with the position. */
export function rotaryPart(config: Config): number {
  return (
    ropeConfig(config)?.maybeNumber("partial_rotary_factor") ??
    config.number("partial_rotary_factor", 0.5)
  );
}

function glmMetadata(config: Config): Metadata {
  const attention = attentionOf(config);
  return {
    ...decoderMetadata(config, attention),
    ...ropeMetadata(config),
    "attention.key_length": maybe(config.maybeWhole("head_dim"), u32),
    "attention.value_length": maybe(config.maybeWhole("head_dim"), u32),
    "rope.dimension_count": u32(Math.floor(attention.headDim * rotaryPart(config))),
  };
}

export const glm4: Architecture = {
  classes: ["Glm4ForCausalLM"],
  name: "glm4",
  metadata: ({ config }) => glmMetadata(config),
  names: [
    ["post_self_attn_layernorm.", "post_attention_norm."],
    ["post_mlp_layernorm.", "post_ffw_norm."],
    ["mlp.gate_up_proj.", "ffn_up."],
    ...decoderNames,
  ],
  skip: buffers,
  tokenizer: glmTokenizer,
};

export const glm4moe: Architecture = {
  classes: ["Glm4MoeForCausalLM"],
  name: "glm4moe",
  metadata: ({ config }) => ({
    ...glmMetadata(config),
    ...expertMetadata(config),
    expert_gating_func: u32(gating.sigmoid),
  }),
  names: [["post_attention_layernorm.", "post_attention_norm."], ...expertNames, ...decoderNames],
  skip: buffers,
  tokenizer: glmTokenizer,
};
