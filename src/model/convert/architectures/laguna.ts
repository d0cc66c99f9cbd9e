/** Poolside's Laguna: gates on what attention gives, experts, heads whose number differs by layer. */

import { ConvertError } from "../../../errors.ts";
import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  ropeConfig,
  ropeMetadata,
  type SourceModel,
} from "../architecture.ts";
import { attentionOf, type Config } from "../config.ts";
import { f32, flag, integers, type Metadata, maybe, text, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { tokenTypes, type Vocabulary } from "../tokenizer/vocabulary.ts";
import type { Weights } from "../weights.ts";
import { expertMetadata, expertNames, gating } from "./experts.ts";

function headsByLayer(config: Config): number[] {
  const layers = config.whole("num_hidden_layers");
  const given = config.numbers("num_attention_heads_per_layer");
  if (given === undefined) return new Array<number>(layers).fill(attentionOf(config).heads);
  if (given.length === layers) return given;
  throw new ConvertError(`config.json: num_attention_heads_per_layer must name ${layers} layers`);
}

/** Layers before the first with experts. */
function leadingDense(config: Config): number {
  const types = config.texts("mlp_layer_types") ?? [];
  const first = types.findIndex((type) => type !== "dense");
  return first < 0 ? types.length : first;
}

function metadata({ config }: SourceModel): Metadata {
  const attention = attentionOf(config);
  const part = (rope: Config | undefined) =>
    Math.floor(attention.headDim * (rope?.maybeNumber("partial_rotary_factor") ?? 1));
  const windowRope = config.object("rope_parameters")?.object("sliding_attention");
  return {
    ...decoderMetadata(config, attention),
    ...ropeMetadata(config),
    ...expertMetadata(config),
    vocab_size: u32(config.whole("vocab_size")),
    "attention.head_count": integers(headsByLayer(config)),
    "attention.key_length": u32(attention.headDim),
    "attention.value_length": u32(attention.headDim),
    "attention.sliding_window": maybe(config.maybeCount("sliding_window") || undefined, u32),
    "rope.dimension_count": u32(part(ropeConfig(config))),
    "rope.dimension_count_swa": windowRope && u32(part(windowRope)),
    "rope.freq_base_swa": maybe(windowRope?.maybeNumber("rope_theta"), f32),
    expert_shared_feed_forward_length: u32(config.whole("shared_expert_intermediate_size")),
    expert_weights_scale: f32(config.number("moe_routed_scaling_factor", 1)),
    expert_weights_norm: flag(true),
    expert_gating_func: u32(gating.sigmoid),
    leading_dense_block_count: u32(leadingDense(config)),
  };
}

/** A gate has a number for every head, or for every number of a head. llama.cpp ends at others. */
function checked(name: string, weights: Weights, { config }: SourceModel): Planned[] | undefined {
  const layer = /^blk\.(\d+)\.attn_gate\.weight$/.exec(name)?.[1];
  if (layer === undefined) return undefined;
  const heads = headsByLayer(config)[Number(layer)] ?? 0;
  const [rows] = weights.shape;
  if (rows === heads || rows === heads * attentionOf(config).headDim) return [{ name, weights }];
  throw new ConvertError(
    `tensor "${weights.name}" [${weights.shape}] is no gate of ${heads} heads`,
  );
}

const turnEnd = "</assistant>";

function tokenizer(vocabulary: Vocabulary): Metadata {
  const id = vocabulary.tokens.indexOf(turnEnd);
  // Its file calls the mark an ordinary token: then it would be read in answers, which it ends.
  if (id >= 0) vocabulary.types[id] = tokenTypes.control;
  return { pre: text("laguna"), eot_token_id: maybe(id < 0 ? undefined : id, u32) };
}

export const laguna: Architecture = {
  classes: ["LagunaForCausalLM"],
  name: "laguna",
  metadata,
  names: [
    ["self_attn.g_proj.", "attn_gate."],
    ["mlp.experts.e_score_correction_bias", "exp_probs_b.bias"],
    ["mlp.shared_expert.gate_proj.", "ffn_gate_shexp."],
    ["mlp.shared_expert.up_proj.", "ffn_up_shexp."],
    ["mlp.shared_expert.down_proj.", "ffn_down_shexp."],
    ...expertNames,
    ...decoderNames,
  ],
  skip: buffers,
  plan: checked,
  tokenizer,
};
