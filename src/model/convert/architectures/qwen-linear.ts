/**
 * Qwen 3 Next and 3.5: in three of four layers a gated delta rule stands for attention (`linear_attn`),
 * whose state does not grow.
 */
import {
  type Architecture,
  buffers,
  decoderNames,
  type Renaming,
  ropeConfig,
  type SourceModel,
  textPrefixes,
} from "../architecture.ts";
import { attentionOf, type Config } from "../config.ts";
import { integers, type Metadata, maybe, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { chosen } from "../slices.ts";
import { reshaped, type Weights } from "../weights.ts";
import { qwenExpertMetadata, qwenExpertNames, qwenExperts, qwenMetadata } from "./qwen.ts";
import { projector3 } from "./qwen-vision.ts";

/** Heads of the delta rule: several of values share one of keys. */
function headsOf(config: Config) {
  const keys = config.whole("linear_num_key_heads");
  const values = config.whole("linear_num_value_heads");
  return {
    keys,
    values,
    shared: values / keys,
    keySize: config.whole("linear_key_head_dim"),
    valueSize: config.whole("linear_value_head_dim"),
  };
}

function linearMetadata({ config }: SourceModel): Metadata {
  const { keys, values, keySize, valueSize } = headsOf(config);
  const part =
    ropeConfig(config)?.maybeNumber("partial_rotary_factor") ??
    config.number("partial_rotary_factor", 0.25);
  const types = config.texts("layer_types");
  return {
    "ssm.conv_kernel": u32(config.whole("linear_conv_kernel_dim")),
    "ssm.state_size": u32(keySize),
    "ssm.group_count": u32(keys),
    "ssm.time_step_rank": u32(values),
    "ssm.inner_size": u32(valueSize * values),
    "attention.recurrent_layers": maybe(types, (list) => ({
      type: "array",
      of: "bool",
      values: list.map((type) => Number(type === "linear_attention")),
    })),
    full_attention_interval: u32(config.maybeWhole("full_attention_interval") ?? 4),
    "rope.dimension_count": u32(Math.floor(attentionOf(config).headDim * part)),
  };
}

const linearNames: Renaming = [
  ["post_attention_layernorm.", "post_attention_norm."],
  ["linear_attn.in_proj_qkvz.", "attn_qkvz."],
  ["linear_attn.in_proj_qkv.", "attn_qkv."],
  ["linear_attn.in_proj_ba.", "ssm_ba."],
  ["linear_attn.in_proj_z.", "attn_gate."],
  ["linear_attn.in_proj_a.", "ssm_alpha."],
  ["linear_attn.in_proj_b.", "ssm_beta."],
  ["linear_attn.conv1d.", "ssm_conv1d."],
  ["linear_attn.dt_bias", "ssm_dt.bias"],
  ["linear_attn.A_log", "ssm_a"],
  ["linear_attn.norm.", "ssm_norm."],
  ["linear_attn.out_proj.", "ssm_out."],
];

const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

/** Changes that both generations need. */
function common(name: string, weights: Weights): readonly Planned[] | undefined {
  if (name.endsWith(".ssm_a")) {
    return [{ name, weights, change: (value) => -Math.exp(value), type: "F32" }];
  }
  if (name.endsWith(".ssm_conv1d.weight")) {
    const [channels = 0] = weights.shape;
    return [
      { name, weights: reshaped(weights, [channels, weights.shape.at(-1) ?? 0]), type: "F32" },
    ];
  }
  // Norms are stored less one, but for that of the delta rule.
  if (name.endsWith("norm.weight") && !name.endsWith("ssm_norm.weight")) {
    return [{ name, weights, change: (value) => value + 1 }];
  }
  return qwenExperts(name, weights);
}

/** One matrix has queries, keys, values and gates head by head; llama.cpp wants kind by kind. */
function byKind(name: string, weights: Weights, config: Config): Planned[] {
  const { keys, shared, keySize, valueSize } = headsOf(config);
  const perHead = [keySize, keySize, shared * valueSize, shared * valueSize];
  const whole = perHead.reduce((sum, size) => sum + size, 0);
  const rows = (kind: number) => {
    const start = perHead.slice(0, kind).reduce((sum, size) => sum + size, 0);
    return range(keys).flatMap((head) => range(perHead[kind] ?? 0, head * whole + start));
  };
  const of = (...kinds: number[]) => chosen(weights, 0, kinds.flatMap(rows));
  return [
    { name: name.replace("attn_qkvz", "attn_qkv"), weights: of(0, 1, 2) },
    { name: name.replace("attn_qkvz", "attn_gate"), weights: of(3) },
  ];
}

export const qwen3next: Architecture = {
  classes: ["Qwen3NextForCausalLM"],
  name: "qwen3next",
  metadata: (model) => ({ ...qwenExpertMetadata(model), ...linearMetadata(model) }),
  names: [...linearNames, ...qwenExpertNames, ...decoderNames],
  // What predicts further tokens is no part of the model that runs.
  skip: new RegExp(`${buffers.source}|^(model\\.)?mtp\\.`),
  plan(name, weights, { config }) {
    return name.endsWith("attn_qkvz.weight")
      ? byKind(name, weights, config)
      : common(name, weights);
  },
};

/**
 * Entries of heads of values, which lie by their head of keys: ggml repeats heads of keys one after the
 * other, so all first ones come first, then all second ones.
 */
function spread(config: Config, size: number, before = 0): number[] {
  const { keys, shared } = headsOf(config);
  return range(shared).flatMap((which) =>
    range(keys).flatMap((head) => range(size, before + (head * shared + which) * size)),
  );
}

/** The dimension that counts heads of values, what lies before them, and the size of one. */
function valueOrder(name: string, config: Config): { axis: number; order: number[] } | undefined {
  const { keys, keySize, valueSize } = headsOf(config);
  const before = 2 * keys * keySize;
  const part = /\.(attn_qkv|attn_gate|ssm_[a-z0-9]+)(\.weight|\.bias)?$/.exec(name)?.[1];
  switch (part) {
    case "attn_qkv":
    case "ssm_conv1d":
      return { axis: 0, order: [...range(before), ...spread(config, valueSize, before)] };
    case "attn_gate":
      return { axis: 0, order: spread(config, valueSize) };
    case "ssm_alpha":
    case "ssm_beta":
    case "ssm_a":
    case "ssm_dt":
      return { axis: 0, order: spread(config, 1) };
    case "ssm_out":
      return { axis: 1, order: spread(config, valueSize) };
    default:
      return undefined;
  }
}

/** The sections that its code assumes where the configuration is silent. */
const usualSections = [11, 11, 10, 0];

function sections(config: Config): Metadata {
  const given = ropeConfig(config)?.numbers("mrope_section");
  const four = given === undefined ? usualSections : [...given, 0, 0, 0, 0].slice(0, 4);
  return { "rope.dimension_sections": integers(four) };
}

export const qwen35: Architecture = {
  classes: ["Qwen3_5ForConditionalGeneration", "Qwen3_5ForCausalLM"],
  name: "qwen35",
  metadata: (model) => ({
    ...qwenMetadata(model),
    ...linearMetadata(model),
    ...sections(model.config),
  }),
  names: [...textPrefixes, ...linearNames, ...decoderNames],
  skip: qwen3next.skip as RegExp,
  plan(name, weights, { config }) {
    const moved = valueOrder(name, config);
    const placed = moved === undefined ? weights : chosen(weights, moved.axis, moved.order);
    return common(name, placed) ?? [{ name, weights: placed }];
  },
  projector: projector3,
};

export const qwen35moe: Architecture = {
  ...qwen35,
  classes: ["Qwen3_5MoeForConditionalGeneration", "Qwen3_5MoeForCausalLM"],
  name: "qwen35moe",
  metadata: (model) => ({
    ...qwenExpertMetadata(model),
    ...linearMetadata(model),
    ...sections(model.config),
  }),
  names: [...textPrefixes, ...linearNames, ...qwenExpertNames, ...decoderNames],
};
