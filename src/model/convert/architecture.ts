/** What one architecture says about its conversion: its keys, its names, its changes of numbers. */
import type { Attention, Config } from "./config.ts";
import { f32, type Metadata, maybe, text, u32 } from "./metadata.ts";
import type { Planned } from "./planned.ts";
import type { SourceFiles } from "./source.ts";
import type { Vocabulary } from "./tokenizer/vocabulary.ts";
import type { Weights } from "./weights.ts";

/** A model on its way; `config` has the fields of the text part on top. */
export interface SourceModel {
  readonly config: Config;
  readonly files: SourceFiles;
  readonly weights: ReadonlyMap<string, Weights>;
}

/** What is replaced in names, in the order given: substrings wherever they occur, expressions once. */
export type Renaming = readonly (readonly [from: string | RegExp, to: string])[];

export function renamed(name: string, renaming: Renaming): string {
  return renaming.reduce(
    (text, [from, to]) =>
      typeof from === "string" ? text.replaceAll(from, to) : text.replace(from, to),
    name,
  );
}

/** How the part that sees becomes a file. */
export interface Projector {
  /** Which source tensors it has. */
  readonly parts: RegExp;
  /** Keys, whole. */
  metadata(model: SourceModel): Metadata;
  readonly names: Renaming;
  plan?(name: string, weights: Weights, model: SourceModel): readonly Planned[] | undefined;
  extra?(model: SourceModel): readonly Planned[];
}

export interface Architecture {
  /** Values of `architectures[0]` in config.json. */
  readonly classes: readonly string[];
  /** `general.architecture` of the GGUF. */
  readonly name: string | ((config: Config) => string);
  /** Keys below the architecture's prefix. */
  metadata(model: SourceModel): Metadata;
  readonly names: Renaming;
  /** Source tensors that a GGUF does not hold. */
  readonly skip?: RegExp;
  /** What becomes of a tensor, when that is not simply its new name. */
  plan?(name: string, weights: Weights, model: SourceModel): readonly Planned[] | undefined;
  /** Tensors that no file has. */
  extra?(model: SourceModel): readonly Planned[];
  /** Keys of the tokenizer beyond those that follow from its files; may change the vocabulary. */
  tokenizer?(vocabulary: Vocabulary, model: SourceModel): Metadata;
  /** Of models that see. */
  readonly projector?: Projector;
}

/** Names of a decoder as `transformers` spells them; architectures put theirs before these. */
export const decoderNames: Renaming = [
  ["model.layers.", "blk."],
  ["model.embed_tokens.", "token_embd."],
  ["model.norm.", "output_norm."],
  ["lm_head.", "output."],
  ["self_attn.q_proj.", "attn_q."],
  ["self_attn.k_proj.", "attn_k."],
  ["self_attn.v_proj.", "attn_v."],
  ["self_attn.o_proj.", "attn_output."],
  ["self_attn.q_norm.", "attn_q_norm."],
  ["self_attn.k_norm.", "attn_k_norm."],
  ["mlp.gate_proj.", "ffn_gate."],
  ["mlp.up_proj.", "ffn_up."],
  ["mlp.down_proj.", "ffn_down."],
  ["input_layernorm.", "attn_norm."],
  ["post_attention_layernorm.", "ffn_norm."],
];

/** What models that see put before the names of their text part. */
export const textPrefixes: Renaming = [
  ["language_model.model.", "model."],
  ["model.language_model.", "model."],
  ["language_model.lm_head.", "lm_head."],
];

/** Buffers that some checkpoints carry beside the weights. */
export const buffers = /rotary_emb\.inv_freq$|\.attn\.bias$|\.masked_bias$|position_ids$/;

/** The small number in RMS norms, by the name that most decoders give it. */
export function rmsEpsilon(config: Config): Metadata {
  return { "attention.layer_norm_rms_epsilon": f32(config.number("rms_norm_eps", 1e-6)) };
}

/** Keys that every decoder has. @param epsilon of its norms, where they are no RMS norms or named otherwise */
export function decoderMetadata(
  config: Config,
  attention: Attention,
  epsilon: Metadata = rmsEpsilon(config),
): Metadata {
  return {
    block_count: u32(config.whole("num_hidden_layers", "n_layer")),
    context_length: u32(config.whole("max_position_embeddings", "n_positions", "n_ctx")),
    embedding_length: u32(attention.width),
    feed_forward_length: u32(config.whole("intermediate_size")),
    "attention.head_count": u32(attention.heads),
    "attention.head_count_kv": u32(attention.kvHeads),
    ...epsilon,
  };
}

/** Where rotary settings stand: in `rope_parameters` since transformers 5, else in `rope_scaling`. */
export function ropeConfig(config: Config): Config | undefined {
  const rope = config.object("rope_parameters") ?? config.object("rope_scaling");
  return rope?.object("full_attention") ?? rope;
}

export function ropeTheta(config: Config): number | undefined {
  return ropeConfig(config)?.maybeNumber("rope_theta") ?? config.maybeNumber("rope_theta");
}

export function ropeType(config: Config): string | undefined {
  const rope = ropeConfig(config);
  return rope?.text("rope_type") ?? rope?.text("type");
}

/** Keys of rotary embeddings: base, and how it is stretched. */
export function ropeMetadata(config: Config): Metadata {
  const rope = ropeConfig(config);
  const type = ropeType(config);
  const base = { "rope.freq_base": maybe(ropeTheta(config), f32) };
  if (rope === undefined || (type !== "linear" && type !== "yarn")) return base;
  return {
    ...base,
    "rope.scaling.type": text(type),
    "rope.scaling.factor": f32(rope.number("factor")),
    "rope.scaling.original_context_length": maybe(
      rope.maybeWhole("original_max_position_embeddings"),
      u32,
    ),
    ...(type === "yarn" ? yarnMetadata(rope) : {}),
  };
}

/** What models say of YaRN beyond its factor; llama.cpp has defaults for the rest. */
function yarnMetadata(rope: Config): Metadata {
  const attention = rope.maybeNumber("attention_factor") ?? rope.maybeNumber("attn_factor");
  return {
    "rope.scaling.yarn_ext_factor": maybe(rope.maybeNumber("extrapolation_factor"), f32),
    "rope.scaling.yarn_attn_factor": maybe(attention, f32),
    "rope.scaling.yarn_beta_fast": maybe(rope.maybeNumber("beta_fast"), f32),
    "rope.scaling.yarn_beta_slow": maybe(rope.maybeNumber("beta_slow"), f32),
  };
}
