/** Nemotron-H and Nemotron 3: each layer is a state space (Mamba 2), attention, or a feed-forward part. */

import { ConvertError } from "../../../errors.ts";
import { type Architecture, buffers, decoderMetadata, type SourceModel } from "../architecture.ts";
import { attentionOf, type Config } from "../config.ts";
import { f32, integers, type Metadata, maybe, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { reshaped, type Weights } from "../weights.ts";
import { expertMetadata } from "./experts.ts";

type Kind = "state" | "attention" | "feed-forward";

/** Letters of `hybrid_override_pattern` and names of `layers_block_type`. */
const kinds: Readonly<Record<string, Kind>> = {
  M: "state",
  mamba: "state",
  linear_attention: "state",
  "*": "attention",
  attention: "attention",
  full_attention: "attention",
  "-": "feed-forward",
  mlp: "feed-forward",
  E: "feed-forward",
  moe: "feed-forward",
};

/** @throws ConvertError when the pattern has other letters or another length */
function layersOf(config: Config): Kind[] {
  const raw = config.raw("hybrid_override_pattern");
  const pattern = typeof raw === "string" ? [...raw] : (config.texts("layers_block_type") ?? []);
  const layers = pattern.map((letter) => kinds[letter]);
  if (layers.includes(undefined) || layers.length !== config.whole("num_hidden_layers")) {
    throw new ConvertError("config.json: hybrid_override_pattern must name every layer");
  }
  return layers as Kind[];
}

function stateOf(config: Config) {
  const heads = config.whole("mamba_num_heads");
  return { heads, groups: config.whole("n_groups"), inner: heads * config.whole("mamba_head_dim") };
}

const hasExperts = (config: Config) => config.has("num_experts_per_tok");

function metadata({ config }: SourceModel): Metadata {
  const headDim = config.whole("head_dim", "attention_head_dim");
  const attention = attentionOf(config.with({ head_dim: headDim }));
  const layers = layersOf(config);
  const { heads, groups, inner } = stateOf(config);
  const hidden = config.whole(hasExperts(config) ? "moe_intermediate_size" : "intermediate_size");
  const epsilon = f32(config.number("layer_norm_epsilon", 1e-5));
  const shared = config.with({ intermediate_size: hidden });
  return {
    ...decoderMetadata(shared, attention, {
      "attention.layer_norm_epsilon": epsilon,
      "attention.layer_norm_rms_epsilon": epsilon,
    }),
    ...(hasExperts(config) ? expertMetadata(config) : {}),
    vocab_size: u32(config.whole("vocab_size")),
    "attention.key_length": u32(headDim),
    "attention.value_length": u32(headDim),
    // What a layer is follows from which of the two numbers is not zero.
    "attention.head_count_kv": integers(
      layers.map((kind) => (kind === "attention" ? attention.kvHeads : 0)),
    ),
    feed_forward_length: integers(layers.map((kind) => (kind === "feed-forward" ? hidden : 0))),
    expert_shared_feed_forward_length: maybe(
      config.maybeWhole("moe_shared_expert_intermediate_size"),
      u32,
    ),
    moe_latent_size: maybe(config.maybeWhole("moe_latent_size"), u32),
    "ssm.conv_kernel": u32(config.whole("conv_kernel")),
    "ssm.state_size": u32(config.whole("ssm_state_size")),
    "ssm.group_count": u32(groups),
    "ssm.inner_size": u32(inner),
    "ssm.time_step_rank": u32(heads),
  };
}

/** Vectors of the state space as llama.cpp multiplies with them. */
function plan(name: string, weights: Weights, { config }: SourceModel): Planned[] | undefined {
  const [rows = 0] = weights.shape;
  if (name.endsWith(".ssm_a")) {
    const column = reshaped(weights, [rows, 1]);
    return [{ name, weights: column, change: (value) => -Math.exp(value), type: "F32" }];
  }
  if (name.endsWith(".ssm_d"))
    return [{ name, weights: reshaped(weights, [rows, 1]), type: "F32" }];
  if (name.endsWith(".ssm_conv1d.weight")) {
    const taps = weights.shape.at(-1) ?? 0;
    return [{ name, weights: reshaped(weights, [rows, taps]), type: "F32" }];
  }
  if (name.endsWith(".ssm_norm.weight")) {
    const { groups, inner } = stateOf(config);
    return [{ name, weights: reshaped(weights, [groups, inner / groups]) }];
  }
  return undefined;
}

export const nemotronH: Architecture = {
  classes: ["NemotronHForCausalLM"],
  name: (config) => (hasExperts(config) ? "nemotron_h_moe" : "nemotron_h"),
  metadata,
  names: [
    [/^model\.layers\./, "backbone.layers."],
    ["backbone.layers.", "blk."],
    ["backbone.embeddings.", "token_embd."],
    ["backbone.norm_f.", "output_norm."],
    ["lm_head.", "output."],
    [/^(blk\.\d+)\.norm\./, "$1.attn_norm."],
    ["mixer.in_proj.", "ssm_in."],
    ["mixer.conv1d.", "ssm_conv1d."],
    ["mixer.dt_bias", "ssm_dt.bias"],
    ["mixer.A_log", "ssm_a"],
    [/mixer\.D$/, "ssm_d"],
    ["mixer.norm.", "ssm_norm."],
    ["mixer.out_proj.", "ssm_out."],
    ["mixer.q_proj.", "attn_q."],
    ["mixer.k_proj.", "attn_k."],
    ["mixer.v_proj.", "attn_v."],
    ["mixer.o_proj.", "attn_output."],
    ["mixer.experts.up_proj.", "ffn_up_exps."],
    ["mixer.experts.down_proj.", "ffn_down_exps."],
    ["mixer.shared_experts.up_proj.", "ffn_up_shexp."],
    ["mixer.shared_experts.down_proj.", "ffn_down_shexp."],
    ["mixer.fc1_latent_proj.", "ffn_latent_down."],
    ["mixer.fc2_latent_proj.", "ffn_latent_up."],
    ["mixer.gate.e_score_correction_bias", "exp_probs_b.bias"],
    ["mixer.gate.", "ffn_gate_inp."],
    ["mixer.up_proj.", "ffn_up."],
    ["mixer.down_proj.", "ffn_down."],
  ],
  skip: new RegExp(`${buffers.source}|^mtp\\.`),
  plan,
};
