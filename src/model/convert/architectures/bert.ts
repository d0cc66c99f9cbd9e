/** BERT: the encoder of most sentence-transformers models. */
import type { Architecture, SourceModel } from "../architecture.ts";
import { attentionOf } from "../config.ts";
import { f32, flag, type Metadata, u32 } from "../metadata.ts";
import { poolingOf } from "../pooling.ts";

/** Keys of every encoder that pools; without `modules.json` the mean of all tokens is taken. */
export function encoderMetadata({ config, files }: SourceModel): Metadata {
  const { width, heads } = attentionOf(config);
  const pooling = poolingOf(files) ?? { type: 1, normalize: true };
  return {
    block_count: u32(config.whole("num_hidden_layers", "n_layer")),
    context_length: u32(config.whole("max_position_embeddings", "n_positions")),
    embedding_length: u32(width),
    feed_forward_length: u32(config.whole("intermediate_size", "n_inner")),
    "attention.head_count": u32(heads),
    "attention.layer_norm_epsilon": f32(
      config.maybeNumber("layer_norm_epsilon") ?? config.number("layer_norm_eps", 1e-12),
    ),
    "attention.causal": flag(false),
    pooling_type: u32(pooling.type ?? 1),
    normalize_embeddings: flag(pooling.normalize),
  };
}

export const bert: Architecture = {
  classes: ["BertModel", "BertForMaskedLM"],
  name: "bert",
  metadata: encoderMetadata,
  names: [
    ["bert.", ""],
    [".gamma", ".weight"],
    [".beta", ".bias"],
    ["embeddings.word_embeddings.", "token_embd."],
    ["embeddings.position_embeddings.", "position_embd."],
    ["embeddings.token_type_embeddings.", "token_types."],
    ["embeddings.LayerNorm.", "token_embd_norm."],
    ["encoder.layer.", "blk."],
    ["attention.self.query.", "attn_q."],
    ["attention.self.key.", "attn_k."],
    ["attention.self.value.", "attn_v."],
    ["attention.output.dense.", "attn_output."],
    ["attention.output.LayerNorm.", "attn_output_norm."],
    ["intermediate.dense.", "ffn_up."],
    ["output.dense.", "ffn_down."],
    ["output.LayerNorm.", "layer_output_norm."],
  ],
  skip: /position_ids$|pooler\.|^cls\./,
  tokenizer(_, { config }) {
    return { token_type_count: u32(config.maybeWhole("type_vocab_size") ?? 1) };
  },
};
