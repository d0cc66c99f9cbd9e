/** Decoders that differ from Llama in a key, a norm or a factor: Granite, SmolLM 3, OLMo 2 and 3. */
import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  ropeMetadata,
} from "../architecture.ts";
import { attentionOf, type Config } from "../config.ts";
import { f32, maybe, u32 } from "../metadata.ts";
import { llama } from "./llama.ts";

export const granite: Architecture = {
  ...llama,
  classes: ["GraniteForCausalLM"],
  name: "granite",
  metadata: (model) => ({
    ...llama.metadata(model),
    "attention.scale": maybe(model.config.maybeNumber("attention_multiplier"), f32),
    embedding_scale: maybe(model.config.maybeNumber("embedding_multiplier"), f32),
    residual_scale: maybe(model.config.maybeNumber("residual_multiplier"), f32),
    logit_scale: f32(model.config.number("logits_scaling", 1)),
  }),
};

export const smollm3: Architecture = {
  ...llama,
  classes: ["SmolLM3ForCausalLM"],
  name: "smollm3",
};

/** Which layers look at a window only; OLMo 3 says it, or does it in three of four. */
function windows(config: Config): boolean[] {
  const types = config.texts("layer_types");
  if (types !== undefined) return types.map((type) => type === "sliding_attention");
  const layers = config.whole("num_hidden_layers");
  return Array.from({ length: layers }, (_, layer) => (layer + 1) % 4 !== 0);
}

export const olmo2: Architecture = {
  classes: ["Olmo2ForCausalLM", "Olmo3ForCausalLM"],
  name: "olmo2",
  metadata({ config }) {
    const window = config.maybeWhole("sliding_window");
    return {
      ...decoderMetadata(config, attentionOf(config)),
      ...ropeMetadata(config),
      "attention.sliding_window": maybe(window, u32),
      "attention.sliding_window_pattern": maybe(
        window === undefined ? undefined : windows(config),
        (pattern) => ({
          type: "array",
          of: "bool",
          values: pattern.map(Number),
        }),
      ),
    };
  },
  names: [
    ["post_attention_layernorm.", "post_attention_norm."],
    ["post_feedforward_layernorm.", "post_ffw_norm."],
    ...decoderNames,
  ],
  skip: buffers,
};
