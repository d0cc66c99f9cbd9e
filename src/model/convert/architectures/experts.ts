/** What decoders with many experts share: their names, and the keys of how experts are chosen. */

import { ConvertError } from "../../../errors.ts";
import type { Renaming } from "../architecture.ts";
import type { Config } from "../config.ts";
import { f32, flag, type Metadata, maybe, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { splitEvenly } from "../slices.ts";
import { transposed, type Weights } from "../weights.ts";

/** Router, experts (stacked by the core) and the experts that every token visits. */
export const expertNames: Renaming = [
  ["mlp.experts.gate_proj.", "ffn_gate_exps."],
  ["mlp.experts.up_proj.", "ffn_up_exps."],
  ["mlp.experts.down_proj.", "ffn_down_exps."],
  ["mlp.shared_experts.gate_proj.", "ffn_gate_shexp."],
  ["mlp.shared_experts.up_proj.", "ffn_up_shexp."],
  ["mlp.shared_experts.down_proj.", "ffn_down_shexp."],
  ["mlp.gate.e_score_correction_bias", "exp_probs_b.bias"],
  ["mlp.gate.", "ffn_gate_inp."],
];

/** llama.cpp's numbers of how a router's outputs become weights. */
export const gating = { softmax: 1, sigmoid: 2 } as const;

/** @throws ConvertError for a function that llama.cpp does not know */
function gatingOf(config: Config): number | undefined {
  const name = config.text("scoring_func");
  if (name === undefined) return undefined;
  if (name === "softmax" || name === "sigmoid") return gating[name];
  throw new ConvertError(`config.json: scoring_func must be softmax or sigmoid, not "${name}"`);
}

/** Keys of experts, where the configuration has them. */
export function expertMetadata(config: Config): Metadata {
  return {
    expert_count: u32(config.whole("n_routed_experts", "num_local_experts", "num_experts")),
    expert_used_count: u32(config.whole("num_experts_per_tok", "experts_per_token")),
    expert_feed_forward_length: maybe(config.maybeWhole("moe_intermediate_size"), u32),
    expert_shared_count: maybe(config.maybeCount("n_shared_experts"), u32),
    expert_group_count: maybe(config.maybeWhole("n_group"), u32),
    expert_group_used_count: maybe(config.maybeWhole("topk_group"), u32),
    expert_gating_func: maybe(gatingOf(config), u32),
    expert_weights_scale: maybe(config.maybeNumber("routed_scaling_factor"), f32),
    expert_weights_norm: maybe(config.maybeFlag("norm_topk_prob"), flag),
    leading_dense_block_count: maybe(config.maybeCount("first_k_dense_replace"), u32),
  };
}

/**
 * Experts that lie in one tensor, gate and up beside each other. Undefined for other tensors.
 * @param turned whether columns come before rows
 */
export function fusedExperts(
  name: string,
  weights: Weights,
  turned: boolean,
): Planned[] | undefined {
  if (weights.shape.length !== 3) return undefined;
  const upright = (part: Weights) => (turned ? transposed(part) : part);
  if (name.endsWith("ffn_down_exps.weight")) return [{ name, weights: upright(weights) }];
  if (!name.endsWith("ffn_gate_up_exps.weight")) return undefined;
  return splitEvenly(weights, turned ? -1 : -2, 2).map((part, i) => ({
    name: name.replace("gate_up", i === 0 ? "gate" : "up"),
    weights: upright(part),
  }));
}

/** Names of such tensors, which have no ending of their own. */
export const fusedNames: Renaming = [
  [/(mlp|feed_forward)\.experts\.gate_up_proj$/, "ffn_gate_up_exps.weight"],
  [/(mlp|feed_forward)\.experts\.down_proj$/, "ffn_down_exps.weight"],
];
