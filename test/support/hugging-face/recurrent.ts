/** Tiny decoders whose layers are not all attention, and Gemma 3n: Qwen 3 Next, Qwen 3.5. */
import {
  attention,
  experts,
  gated,
  headDim,
  headNorms,
  heads,
  hidden,
  type Kind,
  kvHeads,
  moeParts,
  norms,
  type Shapes,
  sandwich,
  untied,
  vocabulary,
  width,
} from "./shapes.ts";
import { qwen3vl } from "./sighted.ts";

/** Heads of the delta rule: two of values for one of keys. */
const keys = 2;
const values = 4;
const size = 16;
const channels = 2 * keys * size + values * size;

const delta: Shapes = {
  "linear_attn.conv1d.weight": [channels, 1, 4],
  "linear_attn.dt_bias": [values],
  "linear_attn.A_log": [values],
  "linear_attn.norm.weight": [size],
  "linear_attn.out_proj.weight": [width, values * size],
};
const deltaNext: Shapes = {
  ...delta,
  "linear_attn.in_proj_qkvz.weight": [channels + values * size, width],
  "linear_attn.in_proj_ba.weight": [2 * values, width],
};
const delta35: Shapes = {
  ...delta,
  "linear_attn.in_proj_qkv.weight": [channels, width],
  "linear_attn.in_proj_z.weight": [values * size, width],
  "linear_attn.in_proj_a.weight": [values, width],
  "linear_attn.in_proj_b.weight": [values, width],
};
/** Queries come with a gate of their size. */
const gatedAttention: Shapes = {
  ...attention,
  ...headNorms,
  "self_attn.q_proj.weight": [2 * heads * headDim, width],
};
const shared: Shapes = {
  "mlp.gate.weight": [4, width],
  "mlp.shared_expert.gate_proj.weight": [hidden, width],
  "mlp.shared_expert.up_proj.weight": [hidden, width],
  "mlp.shared_expert.down_proj.weight": [width, hidden],
  "mlp.shared_expert_gate.weight": [1, width],
};
const mixture = {
  num_experts: 4,
  num_experts_per_tok: 2,
  moe_intermediate_size: hidden,
  shared_expert_intermediate_size: hidden,
};
const linear = {
  head_dim: headDim,
  linear_num_key_heads: keys,
  linear_num_value_heads: values,
  linear_key_head_dim: size,
  linear_value_head_dim: size,
  linear_conv_kernel_dim: 4,
  partial_rotary_factor: 0.5,
  layer_types: ["linear_attention", "full_attention"],
};
const foresight: Shapes = { "mtp.fc.weight": [width, 2 * width] };
const inner = (shapes: Shapes): Shapes =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name.replace(/^model\./, "model.language_model."),
      shape,
    ]),
  );
const qwen35Config = { ...linear, rope_parameters: { mrope_section: [1, 2, 1] } };

/** llama.cpp knows these sizes by heart. */
const perLayer = 256;
const laurel = 64;
const predictions = 4;
const gemmaLayers = 5;

const gemma3nLayer: Shapes = {
  ...sandwich,
  ...attention,
  ...headNorms,
  ...gated,
  "per_layer_input_gate.weight": [perLayer, width],
  "per_layer_projection.weight": [width, perLayer],
  "post_per_layer_input_norm.weight": [width],
  "altup.correction_coefs.weight": [predictions, predictions],
  "altup.correct_output_scale": [width],
  "altup.prediction_coefs.weight": [predictions * predictions, predictions],
  "altup.modality_router.weight": [predictions, width],
  "altup.router_norm.weight": [width],
  "laurel.linear_left.weight": [laurel, width],
  "laurel.linear_right.weight": [width, laurel],
  "laurel.post_laurel_norm.weight": [width],
};
const square = [width, width];

/** As in Qwen 3 VL, but nothing of its inner layers goes to the text. */
const eyes: Shapes = Object.fromEntries(
  Object.entries(qwen3vl.outside ?? {}).filter(
    ([name]) => name.startsWith("model.visual.") && !name.includes("deepstack"),
  ),
);

/** Of Mamba 2: heads of 16, one group, 16 states. */
const mambaInner = 4 * 16;
const states = 16;
const mamba: Shapes = {
  "mixer.in_proj.weight": [2 * mambaInner + 2 * states + 4, width],
  "mixer.conv1d.weight": [mambaInner + 2 * states, 1, 4],
  "mixer.conv1d.bias": [mambaInner + 2 * states],
  "mixer.dt_bias": [4],
  "mixer.A_log": [4],
  "mixer.D": [4],
  "mixer.norm.weight": [mambaInner],
  "mixer.out_proj.weight": [width, mambaInner],
};
const nemotronAttention: Shapes = {
  "mixer.q_proj.weight": [heads * headDim, width],
  "mixer.k_proj.weight": [kvHeads * headDim, width],
  "mixer.v_proj.weight": [kvHeads * headDim, width],
  "mixer.o_proj.weight": [width, heads * headDim],
};
const nemotronPlain: Shapes = {
  "mixer.up_proj.weight": [hidden, width],
  "mixer.down_proj.weight": [width, hidden],
};
const nemotronExperts: Shapes = {
  "mixer.gate.weight": [4, width],
  "mixer.gate.e_score_correction_bias": [4],
  ...experts("mixer", { up_proj: [hidden, width], down_proj: [width, hidden] }),
  "mixer.shared_experts.up_proj.weight": [hidden, width],
  "mixer.shared_experts.down_proj.weight": [width, hidden],
};
const nemotronOutside: Shapes = {
  "backbone.embeddings.weight": [vocabulary, width],
  "backbone.norm_f.weight": [width],
  "lm_head.weight": [vocabulary, width],
};
const nemotronConfig = {
  head_dim: headDim,
  mamba_num_heads: 4,
  mamba_head_dim: 16,
  n_groups: 1,
  ssm_state_size: states,
  conv_kernel: 4,
  layer_norm_epsilon: 1e-5,
};

export const recurrent: Record<string, Kind> = {
  Qwen3NextForCausalLM: {
    layer: (layer) => ({
      ...norms,
      ...(layer === 0 ? deltaNext : gatedAttention),
      ...shared,
      ...experts("mlp", moeParts),
    }),
    outside: { ...untied, ...foresight },
    config: { ...linear, ...mixture },
  },
  Qwen3_5ForCausalLM: {
    layer: (layer) => ({ ...norms, ...(layer === 0 ? delta35 : gatedAttention), ...gated }),
    outside: { ...untied, ...foresight },
    config: qwen35Config,
  },
  Qwen3_5ForConditionalGeneration: {
    sees: true,
    layers: "model.language_model.layers.",
    layer: (layer) => ({ ...norms, ...(layer === 0 ? delta35 : gatedAttention), ...gated }),
    outside: { ...inner(untied), ...eyes },
    config: {
      ...qwen35Config,
      vision_config: {
        ...(qwen3vl.config?.vision_config as Record<string, unknown>),
        deepstack_visual_indexes: [],
      },
    },
  },
  Qwen3_5MoeForCausalLM: {
    layers: "model.language_model.layers.",
    layer: (layer) => ({
      ...norms,
      ...(layer === 0 ? delta35 : gatedAttention),
      ...shared,
      // All in one tensor each, rows before columns.
      "mlp.experts.gate_up_proj": [4, 2 * hidden, width],
      "mlp.experts.down_proj": [4, width, hidden],
    }),
    outside: inner(untied),
    config: { ...qwen35Config, ...mixture },
  },
  Gemma3nForConditionalGeneration: {
    count: gemmaLayers,
    layers: "model.language_model.layers.",
    layer: gemma3nLayer,
    outside: {
      // Rows of pictures and sound are missing.
      "model.language_model.embed_tokens.weight": [vocabulary - 1, width],
      "model.language_model.embed_tokens_per_layer.weight": [
        vocabulary - 1,
        gemmaLayers * perLayer,
      ],
      "model.language_model.per_layer_model_projection.weight": [gemmaLayers * perLayer, width],
      "model.language_model.per_layer_projection_norm.weight": [perLayer],
      "model.language_model.norm.weight": [width],
      ...Object.fromEntries(
        [0, 1, 2].flatMap((i) => [
          [`model.language_model.altup_projections.${i}.weight`, square],
          [`model.language_model.altup_unembed_projections.${i}.weight`, square],
        ]),
      ),
      "model.vision_tower.timm_model.conv_stem.conv.weight": [8, 3, 3, 3],
    },
    config: {
      head_dim: headDim,
      num_key_value_heads: kvHeads,
      intermediate_size: new Array(gemmaLayers).fill(hidden),
      altup_num_inputs: predictions,
      altup_active_idx: 0,
      hidden_size_per_layer_input: perLayer,
      num_kv_shared_layers: 0,
      sliding_window: 32,
      layer_types: Array.from({ length: gemmaLayers }, (_, layer) =>
        layer === gemmaLayers - 1 ? "full_attention" : "sliding_attention",
      ),
    },
  },
  NemotronHForCausalLM: {
    count: 3,
    layers: "backbone.layers.",
    layer: (layer) => ({
      "norm.weight": [width],
      ...([mamba, nemotronAttention, nemotronPlain][layer] ?? {}),
    }),
    outside: nemotronOutside,
    config: { ...nemotronConfig, hybrid_override_pattern: "M*-" },
  },
  "NemotronHForCausalLM with experts": {
    count: 3,
    layers: "backbone.layers.",
    layer: (layer) => ({
      "norm.weight": [width],
      ...([mamba, nemotronAttention, nemotronExperts][layer] ?? {}),
    }),
    outside: nemotronOutside,
    config: {
      ...nemotronConfig,
      hybrid_override_pattern: "M*E",
      n_routed_experts: 4,
      num_experts_per_tok: 2,
      n_shared_experts: 1,
      moe_intermediate_size: hidden,
      moe_shared_expert_intermediate_size: hidden,
      norm_topk_prob: true,
      routed_scaling_factor: 2.5,
      n_group: 1,
      topk_group: 1,
    },
  },
};
