/** Llama 4: experts in one tensor each layer, one that every token visits, and a part that sees. */
import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  type Projector,
  ropeMetadata,
  type SourceModel,
  textPrefixes,
} from "../architecture.ts";
import { attentionOf } from "../config.ts";
import { type Metadata, u32 } from "../metadata.ts";
import { plainColors, visionMetadata, visionOf } from "../vision.ts";
import { expertMetadata, fusedExperts, fusedNames } from "./experts.ts";
import { llama } from "./llama.ts";

function metadata({ config }: SourceModel): Metadata {
  const attention = attentionOf(config);
  // The plain name is that of the experts' size.
  const dense = config.maybeWhole("intermediate_size_mlp") ?? config.whole("intermediate_size");
  return {
    ...decoderMetadata(config, attention),
    ...ropeMetadata(config),
    ...expertMetadata(config),
    vocab_size: u32(config.whole("vocab_size")),
    feed_forward_length: u32(dense),
    expert_feed_forward_length: u32(config.whole("intermediate_size")),
    interleave_moe_layer_step: u32(config.maybeWhole("interleave_moe_layer_step") ?? 1),
    "rope.dimension_count": u32(attention.headDim),
    "attention.key_length": u32(attention.headDim),
    "attention.value_length": u32(attention.headDim),
  };
}

const projector: Projector = {
  parts: /^(model\.)?(vision_model|multi_modal_projector)\./,
  metadata(model) {
    const vision = visionOf(model);
    const shuffle = vision.number("pixel_shuffle_ratio", 0.5);
    return {
      ...visionMetadata(model, {
        kind: "llama4",
        width: vision.whole("hidden_size"),
        hidden: vision.whole("intermediate_size"),
        layers: vision.whole("num_hidden_layers"),
        heads: vision.whole("num_attention_heads"),
        side: vision.whole("image_size"),
        epsilon: vision.number("norm_eps", 1e-5),
        activation: "gelu",
        colors: plainColors,
      }),
      "clip.vision.projector.scale_factor": u32(Math.max(1, Math.round(1 / shuffle))),
    };
  },
  names: [
    [/^model\./, ""],
    ["vision_model.model.layers.", "v.blk."],
    ["vision_model.class_embedding", "v.class_embd"],
    ["vision_model.positional_embedding_vlm", "v.position_embd.weight"],
    ["vision_model.layernorm_pre.", "v.pre_ln."],
    ["vision_model.layernorm_post.", "v.post_ln."],
    ["vision_model.patch_embedding.linear.", "v.patch_embd."],
    ["vision_model.vision_adapter.mlp.fc", "mm.model.mlp."],
    ["multi_modal_projector.linear_1.", "mm.model.fc."],
    ["self_attn.o_proj.", "attn_out."],
    ["self_attn.q_proj.", "attn_q."],
    ["self_attn.k_proj.", "attn_k."],
    ["self_attn.v_proj.", "attn_v."],
    ["input_layernorm.", "ln1."],
    ["post_attention_layernorm.", "ln2."],
    ["mlp.fc1.", "ffn_up."],
    ["mlp.fc2.", "ffn_down."],
  ],
};

export const llama4: Architecture = {
  classes: ["Llama4ForConditionalGeneration"],
  name: "llama4",
  metadata,
  names: [
    ...textPrefixes,
    ["feed_forward.router.", "ffn_gate_inp."],
    ...fusedNames,
    ["feed_forward.shared_expert.gate_proj.", "ffn_gate_shexp."],
    ["feed_forward.shared_expert.up_proj.", "ffn_up_shexp."],
    ["feed_forward.shared_expert.down_proj.", "ffn_down_shexp."],
    ["feed_forward.gate_proj.", "ffn_gate."],
    ["feed_forward.up_proj.", "ffn_up."],
    ["feed_forward.down_proj.", "ffn_down."],
    ...decoderNames,
  ],
  skip: buffers,
  plan: (name, weights) => fusedExperts(name, weights, true),
  ...(llama.extra === undefined ? {} : { extra: llama.extra }),
  projector,
};
