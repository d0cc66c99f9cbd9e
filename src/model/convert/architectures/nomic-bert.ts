/** Nomic's embedding models: BERT with rotary embeddings and gated layers, the second with experts. */
import type { Architecture } from "../architecture.ts";
import type { Config } from "../config.ts";
import { f32, maybe, u32 } from "../metadata.ts";
import { reshaped, transposed } from "../weights.ts";
import { encoderMetadata } from "./bert.ts";

function experts(config: Config): number {
  return config.maybeWhole("moe_every_n_layers") === undefined ? 0 : config.whole("num_experts");
}

export const nomicBert: Architecture = {
  classes: ["NomicBertModel", "NomicBertMoEModel"],
  name: (config) => (config.has("moe_every_n_layers") ? "nomic-bert-moe" : "nomic-bert"),
  metadata(model) {
    const { config } = model;
    return {
      ...encoderMetadata(model),
      "rope.freq_base": f32(config.number("rotary_emb_base", 10000)),
      moe_every_n_layers: maybe(config.maybeWhole("moe_every_n_layers"), u32),
      expert_count: maybe(experts(config) || undefined, u32),
      expert_used_count: maybe(config.maybeWhole("moe_top_k"), u32),
    };
  },
  names: [
    ["embeddings.word_embeddings.", "token_embd."],
    ["embeddings.token_type_embeddings.", "token_types."],
    ["emb_ln.", "token_embd_norm."],
    ["encoder.layers.", "blk."],
    ["attn.Wqkv.", "attn_qkv."],
    ["attn.out_proj.", "attn_output."],
    ["norm1.", "attn_output_norm."],
    ["norm2.", "layer_output_norm."],
    ["mlp.fc11.", "ffn_up."],
    ["mlp.fc12.", "ffn_gate."],
    ["mlp.fc1.", "ffn_up."],
    ["mlp.fc2.", "ffn_down."],
    ["mlp.router.layer.", "ffn_gate_inp."],
    ["mlp.experts.mlp.w1", "ffn_up_exps.weight"],
    ["mlp.experts.mlp.w2", "ffn_down_exps.weight"],
  ],
  skip: /position_ids$|pooler\.|mlp\.experts\.bias$/,
  plan(name, weights, { config }) {
    if (!name.includes("_exps.")) return undefined;
    // All experts lie in one matrix, below each other; the second of each pair is stored turned.
    const count = experts(config);
    const [rows = 0, columns = 0] = weights.shape;
    const apart = reshaped(weights, [count, rows / count, columns]);
    return [{ name, weights: name.includes("ffn_down_exps") ? transposed(apart) : apart }];
  },
  tokenizer(_, { config }) {
    return { token_type_count: u32(config.maybeWhole("type_vocab_size") ?? 1) };
  },
};
