/** OpenAI's gpt-oss: experts in MXFP4 that stay as they are, sinks in attention, windows in every second layer. */

import { ConvertError } from "../../../errors.ts";
import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  ropeMetadata,
  type SourceModel,
} from "../architecture.ts";
import { attentionOf } from "../config.ts";
import { u32 } from "../metadata.ts";
import { packedMxfp4 } from "../mxfp4.ts";
import type { Planned } from "../planned.ts";
import { sliced } from "../slices.ts";
import { transposed, type Weights } from "../weights.ts";
import { expertMetadata } from "./experts.ts";

/** ggml's number of MXFP4 blocks. */
const mxfp4 = 39;

/** Rows of gate and up projection alternate. */
function alternating(weights: Weights, axis: number): [gate: Weights, up: Weights] {
  const size = weights.shape.at(axis) ?? 0;
  const half = (from: number) => sliced(weights, { axis, from, step: 2, count: size / 2 });
  return [half(0), half(1)];
}

/** Codes of experts with the scales beside them. */
function packedExperts(place: string, blocks: Weights, { weights }: SourceModel): Planned[] {
  const name = blocks.name.replace(/_blocks$/, "_scales");
  const scales = weights.get(name);
  if (scales === undefined) throw new ConvertError(`tensor "${name}" is missing`);
  if (place.endsWith("down_exps")) {
    return [{ name: `${place}.weight`, weights: packedMxfp4(blocks, scales), packed: mxfp4 }];
  }
  const codes = alternating(blocks, 1);
  const factors = alternating(scales, 1);
  return (["gate", "up"] as const).map((part, i) => ({
    name: `${place.replace("gate_up", part)}.weight`,
    weights: packedMxfp4(codes[i] as Weights, factors[i] as Weights),
    packed: mxfp4,
  }));
}

/** Experts and their biases in plain numbers, columns before rows. */
function plainExperts(place: string, weights: Weights, isBias: boolean): Planned[] {
  const end = isBias ? "bias" : "weight";
  const turned = isBias ? weights : transposed(weights);
  if (place.endsWith("down_exps")) return [{ name: `${place}.${end}`, weights: turned }];
  const [gate, up] = alternating(turned, 1);
  return [
    { name: `${place.replace("gate_up", "gate")}.${end}`, weights: gate },
    { name: `${place.replace("gate_up", "up")}.${end}`, weights: up },
  ];
}

export const gptOss: Architecture = {
  classes: ["GptOssForCausalLM"],
  name: "gpt-oss",
  metadata({ config }) {
    const attention = attentionOf(config);
    return {
      ...decoderMetadata(config, attention),
      ...ropeMetadata(config),
      ...expertMetadata(config),
      "attention.key_length": u32(attention.headDim),
      "attention.value_length": u32(attention.headDim),
      "attention.sliding_window": u32(config.whole("sliding_window")),
      expert_feed_forward_length: u32(config.whole("intermediate_size")),
    };
  },
  names: [
    ["self_attn.sinks", "attn_sinks.weight"],
    ["post_attention_layernorm.", "post_attention_norm."],
    ["mlp.router.", "ffn_gate_inp."],
    ["mlp.experts.gate_up_proj", "ffn_gate_up_exps"],
    ["mlp.experts.down_proj", "ffn_down_exps"],
    ...decoderNames,
  ],
  skip: buffers,
  plan(name, weights, model) {
    const [, place, kind] = /^(.*_exps)(_blocks|_scales|_bias|)$/.exec(name) ?? [];
    if (place === undefined) return undefined;
    if (kind === "_scales") return [];
    return kind === "_blocks"
      ? packedExperts(place, weights, model)
      : plainExperts(place, weights, kind === "_bias");
  },
};
