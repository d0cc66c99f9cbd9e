/**
 * Gemma 4: heads of two sizes, by whether a layer sees a window or all; embeddings of their own for every
 * layer in the small ones, experts in one of the large ones.
 */

import { ConvertError } from "../../../errors.ts";
import {
  type Architecture,
  buffers,
  decoderNames,
  ropeConfig,
  type SourceModel,
  textPrefixes,
} from "../architecture.ts";
import { attentionOf, type Config } from "../config.ts";
import { f32, flag, integers, type Metadata, maybe, text, texts, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { mergesOf } from "../tokenizer/tokenizer-json.ts";
import { tokenTypes, type Vocabulary } from "../tokenizer/vocabulary.ts";
import { constant, reshaped, type Weights } from "../weights.ts";
import { gemma3Metadata } from "./gemma.ts";
import { windowPattern } from "./gemma3n.ts";
import { gemma4Projector } from "./gemma4-vision.ts";

/** Size of heads in layers that see all. */
function fullHead(config: Config): number {
  return config.maybeWhole("global_head_dim") ?? attentionOf(config).headDim;
}

/** By layer where layers differ: heads of keys, and width of the feed-forward part. */
function byLayer(config: Config): Metadata {
  const layers = config.whole("num_hidden_layers");
  const windowed = (config.texts("layer_types") ?? []).map((type) => type === "sliding_attention");
  if (windowed.length !== layers) {
    throw new ConvertError(`config.json: layer_types must name ${layers} layers`);
  }
  const kvHeads = config.whole("num_key_value_heads");
  const fullKvHeads = config.maybeWhole("num_global_key_value_heads");
  const hidden = config.whole("intermediate_size");
  const own = layers - (config.maybeCount("num_kv_shared_layers") ?? 0);
  return {
    "attention.head_count_kv":
      fullKvHeads === undefined
        ? u32(kvHeads)
        : integers(windowed.map((window) => (window ? kvHeads : fullKvHeads))),
    feed_forward_length: config.flag("use_double_wide_mlp", false)
      ? integers(windowed.map((_, layer) => (layer < own ? hidden : 2 * hidden)))
      : u32(hidden),
  };
}

function metadata(model: SourceModel): Metadata {
  const { config } = model;
  const windowHead = attentionOf(config).headDim;
  const full = fullHead(config);
  const windowRope = config.object("rope_parameters")?.object("sliding_attention");
  return {
    ...gemma3Metadata(model),
    ...windowPattern(config),
    ...byLayer(config),
    "attention.shared_kv_layers": u32(config.maybeCount("num_kv_shared_layers") ?? 0),
    "attention.key_length": u32(full),
    "attention.value_length": u32(full),
    "attention.key_length_swa": u32(windowHead),
    "attention.value_length_swa": u32(windowHead),
    embedding_length_per_layer_input: u32(config.maybeCount("hidden_size_per_layer_input") ?? 0),
    expert_count: maybe(config.maybeWhole("num_experts"), u32),
    expert_used_count: maybe(config.maybeWhole("top_k_experts"), u32),
    expert_feed_forward_length: maybe(
      config.maybeWhole("moe_intermediate_size", "expert_intermediate_size"),
      u32,
    ),
    "rope.dimension_count": u32(full),
    "rope.dimension_count_swa": u32(windowHead),
    "rope.freq_base_swa": maybe(windowRope?.maybeNumber("rope_theta"), f32),
  };
}

/** Pairs that do not turn are divided by a number so large that they stand still. */
const still = 1e30;

/** In layers that see all, the first part of the pairs turns and the rest does not. */
function turning({ config }: SourceModel): Planned[] {
  const pairs = fullHead(config) / 2;
  const part = ropeConfig(config)?.maybeNumber("partial_rotary_factor") ?? 0.25;
  const turned = Math.floor(pairs * part);
  const factors = Float32Array.from({ length: pairs }, (_, i) => (i < turned ? 1 : still));
  return [{ name: "rope_freqs.weight", weights: constant("rope_freqs", factors) }];
}

/** Marks of calls and channels that whoever reads an answer has to see. */
const visible = new Set([
  ..."<|channel> <channel|> <|tool_call> <tool_call|>".split(" "),
  ...'<|tool_response> <tool_response|> <|"|>'.split(" "),
]);

function tokenizer(vocabulary: Vocabulary, { files }: SourceModel): Metadata {
  for (const [id, token] of vocabulary.tokens.entries()) {
    if (visible.has(token)) vocabulary.types[id] = tokenTypes.userDefined;
  }
  return {
    model: text("gemma4"),
    pre: text("gemma4"),
    merges: texts(mergesOf(files.object("tokenizer.json"))),
    add_space_prefix: flag(false),
    add_bos_token: flag(true),
  };
}

function scalars(name: string, weights: Weights): Planned[] | undefined {
  return weights.shape.length === 0 ? [{ name, weights: reshaped(weights, [1]) }] : undefined;
}

export const gemma4: Architecture = {
  classes: ["Gemma4ForConditionalGeneration", "Gemma4ForCausalLM"],
  name: "gemma4",
  metadata,
  names: [
    ...textPrefixes,
    ["model.embed_tokens_per_layer.", "per_layer_token_embd."],
    ["model.per_layer_model_projection.", "per_layer_model_proj."],
    ["model.per_layer_projection_norm.", "per_layer_proj_norm."],
    ["per_layer_input_gate.", "inp_gate."],
    ["post_per_layer_input_norm.", "post_norm."],
    ["per_layer_projection.", "proj."],
    ["layer_scalar", "layer_output_scale.weight"],
    ["router.proj.", "ffn_gate_inp."],
    ["router.scale", "ffn_gate_inp.scale"],
    ["router.per_expert_scale", "ffn_down_exps.scale"],
    [/experts\.gate_up_proj$/, "ffn_gate_up_exps.weight"],
    [/experts\.down_proj$/, "ffn_down_exps.weight"],
    ["pre_feedforward_layernorm_2.", "pre_ffw_norm_2."],
    ["post_feedforward_layernorm_1.", "post_ffw_norm_1."],
    ["post_feedforward_layernorm_2.", "post_ffw_norm_2."],
    ["pre_feedforward_layernorm.", "ffn_norm."],
    ["post_feedforward_layernorm.", "post_ffw_norm."],
    ["post_attention_layernorm.", "post_attention_norm."],
    ...decoderNames,
  ],
  skip: new RegExp(`${buffers.source}|lm_head\\.|^(model\\.)?(audio_tower|embed_audio)\\.`),
  plan: scalars,
  extra: turning,
  tokenizer,
  projector: gemma4Projector,
};
