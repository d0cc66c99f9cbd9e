/** Qwen 2 and 3, plain and with experts. */

import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  type Renaming,
  ropeMetadata,
  type SourceModel,
} from "../architecture.ts";
import { attentionOf } from "../config.ts";
import { type Metadata, maybe, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { poolingMetadata } from "../pooling.ts";
import type { Weights } from "../weights.ts";
import { fusedExperts, fusedNames } from "./experts.ts";

export function qwenMetadata(model: SourceModel): Metadata {
  const { config } = model;
  const attention = attentionOf(config);
  return {
    ...decoderMetadata(config, attention),
    ...ropeMetadata(config),
    ...poolingMetadata(model),
    "attention.key_length": maybe(config.maybeWhole("head_dim"), u32),
    "attention.value_length": maybe(config.maybeWhole("head_dim"), u32),
  };
}

/** Embedding models leave the prefix of the language model away. */
const bare = [["model.model.", "model."]] as const;

export const qwen2: Architecture = {
  classes: ["Qwen2ForCausalLM", "Qwen2Model"],
  name: "qwen2",
  metadata: qwenMetadata,
  names: [...bare, ...decoderNames],
  skip: buffers,
};

export const qwen3: Architecture = {
  classes: ["Qwen3ForCausalLM", "Qwen3Model"],
  name: "qwen3",
  metadata: qwenMetadata,
  names: [...bare, ...decoderNames],
  skip: buffers,
};

export const qwenExpertNames: Renaming = [
  ...fusedNames,
  ["mlp.experts.gate_proj.", "ffn_gate_exps."],
  ["mlp.experts.up_proj.", "ffn_up_exps."],
  ["mlp.experts.down_proj.", "ffn_down_exps."],
  ["mlp.shared_expert_gate.", "ffn_gate_inp_shexp."],
  ["mlp.shared_expert.gate_proj.", "ffn_gate_shexp."],
  ["mlp.shared_expert.up_proj.", "ffn_up_shexp."],
  ["mlp.shared_expert.down_proj.", "ffn_down_shexp."],
  ["mlp.gate.", "ffn_gate_inp."],
];

export function qwenExpertMetadata(model: SourceModel): Metadata {
  const { config } = model;
  return {
    ...qwenMetadata(model),
    expert_count: u32(config.whole("num_experts", "num_local_experts")),
    expert_used_count: u32(config.whole("num_experts_per_tok")),
    expert_feed_forward_length: maybe(config.maybeWhole("moe_intermediate_size"), u32),
    expert_shared_feed_forward_length: maybe(
      config.maybeWhole("shared_expert_intermediate_size"),
      u32,
    ),
  };
}

/** Experts one by one or in one tensor. */
export function qwenExperts(name: string, weights: Weights): readonly Planned[] | undefined {
  // The gate of the shared expert is one row: llama.cpp wants a vector.
  if (name.includes("ffn_gate_inp_shexp")) {
    return [{ name, weights: { ...weights, shape: [weights.shape.at(-1) ?? 0] } }];
  }
  return fusedExperts(name, weights, false);
}

export const qwen2moe: Architecture = {
  classes: ["Qwen2MoeForCausalLM"],
  name: "qwen2moe",
  metadata: qwenExpertMetadata,
  names: [...qwenExpertNames, ...decoderNames],
  skip: buffers,
  plan: qwenExperts,
};

export const qwen3moe: Architecture = {
  classes: ["Qwen3MoeForCausalLM"],
  name: "qwen3moe",
  metadata: qwenExpertMetadata,
  names: [...qwenExpertNames, ...decoderNames],
  skip: buffers,
  plan: qwenExperts,
};
