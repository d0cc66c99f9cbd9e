/**
 * Gemma 3n: several predictions of each layer's input of which one is computed (AltUp), a shortcut of
 * low rank (LAuReL), embeddings of their own for every layer. The part that writes: llama.cpp's loader of
 * its eyes and ears wants another encoder than transformers describes.
 */

import { ConvertError } from "../../../errors.ts";
import {
  type Architecture,
  buffers,
  decoderNames,
  type SourceModel,
  textPrefixes,
} from "../architecture.ts";
import type { Config } from "../config.ts";
import { flag, type Metadata, maybe, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { padded } from "../slices.ts";
import { stacked, type Weights } from "../weights.ts";
import { gemma3Metadata } from "./gemma.ts";

/** Inputs that a layer predicts; llama.cpp knows this number only. */
const predictions = 4;

/** Which layers look at a window only. */
export function windowPattern(config: Config): Metadata {
  return {
    "attention.sliding_window_pattern": maybe(config.texts("layer_types"), (types) => ({
      type: "array",
      of: "bool",
      values: types.map((type) => Number(type === "sliding_attention")),
    })),
  };
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function metadata(model: SourceModel): Metadata {
  const { config } = model;
  if (config.whole("altup_num_inputs") !== predictions) {
    throw new ConvertError(`config.json: altup_num_inputs must be ${predictions}`);
  }
  // A list, of one number.
  const [hidden = config.raw("intermediate_size")] = listOf(config.raw("intermediate_size"));
  return {
    ...gemma3Metadata({ ...model, config: config.with({ intermediate_size: hidden }) }),
    ...windowPattern(config),
    "altup.active_idx": u32(config.maybeCount("altup_active_idx") ?? 0),
    "altup.num_inputs": u32(predictions),
    embedding_length_per_layer_input: u32(config.whole("hidden_size_per_layer_input")),
    "attention.shared_kv_layers": u32(config.maybeCount("num_kv_shared_layers") ?? 0),
  };
}

/** Three matrices of one kind as one tensor. */
function projections({ weights }: SourceModel): Planned[] {
  return ["altup_projections", "altup_unembed_projections"].map((kind) => {
    const parts = Array.from({ length: predictions - 1 }, (_, i) => {
      const found = [...weights].find(([name]) => name.endsWith(`.${kind}.${i}.weight`))?.[1];
      if (found !== undefined) return found;
      throw new ConvertError(`tensor "${kind}.${i}.weight" is missing`);
    });
    const name = kind === "altup_projections" ? "altup_proj" : "altup_unembd_proj";
    return { name: `${name}.weight`, weights: stacked(kind, parts) };
  });
}

/** Tokens of pictures and sound have no rows, but ids. */
function rows(name: string, weights: Weights, { config }: SourceModel): Planned[] | undefined {
  if (/^altup_(unembed_)?projections\./.test(name)) return [];
  if (/^(per_layer_)?token_embd\.weight$/.test(name)) {
    return [{ name, weights: padded(weights, config.whole("vocab_size")) }];
  }
  return /altup_(correct|predict)_coef/.test(name) ? [{ name, weights, type: "F32" }] : undefined;
}

export const gemma3n: Architecture = {
  classes: ["Gemma3nForConditionalGeneration", "Gemma3nForCausalLM"],
  name: "gemma3n",
  metadata,
  names: [
    ...textPrefixes,
    ["model.embed_tokens_per_layer.", "per_layer_token_embd."],
    ["model.per_layer_model_projection.", "per_layer_model_proj."],
    ["model.per_layer_projection_norm.", "per_layer_proj_norm."],
    ["model.altup_", "altup_"],
    ["per_layer_input_gate.", "inp_gate."],
    ["post_per_layer_input_norm.", "post_norm."],
    ["per_layer_projection.", "proj."],
    ["altup.correction_coefs.", "altup_correct_coef."],
    ["altup.correct_output_scale", "altup_correct_scale.weight"],
    ["altup.prediction_coefs.", "altup_predict_coef."],
    ["altup.modality_router.", "altup_router."],
    ["altup.router_norm.", "altup_router_norm."],
    ["laurel.linear_left.", "laurel_l."],
    ["laurel.linear_right.", "laurel_r."],
    ["laurel.post_laurel_norm.", "laurel_post_norm."],
    ["pre_feedforward_layernorm.", "ffn_norm."],
    ["post_feedforward_layernorm.", "post_ffw_norm."],
    ["post_attention_layernorm.", "post_attention_norm."],
    ...decoderNames,
  ],
  skip: new RegExp(
    `${buffers.source}|lm_head\\.|^(model\\.)?(vision_tower|audio_tower|embed_vision|embed_audio)\\.`,
  ),
  plan: rows,
  extra: projections,
  tokenizer: (vocabulary) => ({
    add_space_prefix: vocabulary.model === "llama" ? flag(false) : undefined,
  }),
};
