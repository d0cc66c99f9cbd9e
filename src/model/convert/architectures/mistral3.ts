/** Mistral Small 3.1 and later, Ministral 3: Llama's layers, and Pixtral for pictures. */

import { ConvertError } from "../../../errors.ts";
import {
  type Architecture,
  type Projector,
  ropeConfig,
  type SourceModel,
  textPrefixes,
} from "../architecture.ts";
import { f32, type Metadata, maybe, u32 } from "../metadata.ts";
import type { Planned } from "../planned.ts";
import { sliced } from "../slices.ts";
import { isObject, type SourceFiles } from "../source.ts";
import { clipColors, visionMetadata, visionOf } from "../vision.ts";
import { interleaved, reshaped } from "../weights.ts";
import { llama } from "./llama.ts";

/** Id of the token that ends a row of patches; its embedding is part of what sees. */
function rowEnd(files: SourceFiles): number {
  const listed = files.optional("tokenizer.json")?.added_tokens;
  const token = (Array.isArray(listed) ? listed : [])
    .filter(isObject)
    .find(({ content }) => content === "[IMG_BREAK]");
  if (Number.isInteger(token?.id)) return Number(token?.id);
  throw new ConvertError('tokenizer.json: added_tokens have no "[IMG_BREAK]"');
}

function rowEndEmbedding({ files, weights }: SourceModel): Planned[] {
  const [, embeddings] = [...weights].find(([name]) => name.endsWith("embed_tokens.weight")) ?? [];
  if (embeddings === undefined) throw new ConvertError("the model has no token embeddings");
  const row = sliced(embeddings, { axis: 0, from: rowEnd(files), count: 1 });
  return [{ name: "v.token_embd.img_break", weights: reshaped(row, [embeddings.shape[1] ?? 0]) }];
}

function pixtralMetadata(model: SourceModel): Metadata {
  const vision = visionOf(model);
  const activation = vision.text("hidden_act") ?? "gelu";
  if (activation !== "gelu" && activation !== "silu") {
    throw new ConvertError(
      `config.json: vision_config: hidden_act must be gelu or silu, not "${activation}"`,
    );
  }
  return {
    ...visionMetadata(model, {
      kind: "pixtral",
      width: vision.whole("hidden_size"),
      hidden: vision.whole("intermediate_size"),
      layers: vision.whole("num_hidden_layers"),
      heads: vision.whole("num_attention_heads"),
      side: vision.whole("image_size"),
      epsilon: vision.number("layer_norm_eps", 1e-5),
      activation,
      colors: clipColors,
    }),
    "clip.vision.spatial_merge_size": maybe(model.config.maybeWhole("spatial_merge_size"), u32),
  };
}

const pixtral: Projector = {
  parts: /^(model\.)?(vision_tower|multi_modal_projector)\./,
  metadata: pixtralMetadata,
  names: [
    [/^model\./, ""],
    ["vision_tower.transformer.layers.", "v.blk."],
    ["vision_tower.patch_conv.", "v.patch_embd."],
    ["vision_tower.ln_pre.", "v.pre_ln."],
    ["attention.q_proj.", "attn_q."],
    ["attention.k_proj.", "attn_k."],
    ["attention.v_proj.", "attn_v."],
    ["attention.o_proj.", "attn_out."],
    ["attention_norm.", "ln1."],
    ["ffn_norm.", "ln2."],
    ["feed_forward.gate_proj.", "ffn_gate."],
    ["feed_forward.up_proj.", "ffn_up."],
    ["feed_forward.down_proj.", "ffn_down."],
    ["multi_modal_projector.norm.", "mm.input_norm."],
    ["multi_modal_projector.patch_merger.merging_layer.", "mm.patch_merger."],
    ["multi_modal_projector.linear_", "mm."],
  ],
  plan(name, weights, model) {
    if (!/\.attn_[qk]\./.test(name)) return undefined;
    return [{ name, weights: interleaved(weights, visionOf(model).whole("num_attention_heads")) }];
  },
  extra: rowEndEmbedding,
};

export const mistral3: Architecture = {
  ...llama,
  classes: ["Mistral3ForConditionalGeneration", "Ministral3ForCausalLM"],
  name: "mistral3",
  metadata(model) {
    const rope = ropeConfig(model.config);
    return {
      ...llama.metadata(model),
      "rope.scaling.yarn_log_multiplier": maybe(rope?.maybeNumber("mscale_all_dim"), f32),
      "attention.temperature_scale": maybe(rope?.maybeNumber("llama_4_scaling_beta"), f32),
    };
  },
  names: [...textPrefixes, ...llama.names],
  projector: pixtral,
};
