/** Cohere's Command R: one norm a layer, attention and feed-forward side by side. */
import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  ropeTheta,
} from "../architecture.ts";
import { attentionOf } from "../config.ts";
import { f32, maybe, text, u32 } from "../metadata.ts";

export const commandR: Architecture = {
  classes: ["CohereForCausalLM"],
  name: "command-r",
  metadata({ config }) {
    const epsilon = {
      "attention.layer_norm_epsilon": f32(config.number("layer_norm_eps", 1e-5)),
    };
    return {
      ...decoderMetadata(config, attentionOf(config), epsilon),
      // The model was trained on more than its positions say.
      context_length: u32(config.whole("model_max_length", "max_position_embeddings")),
      "rope.freq_base": maybe(ropeTheta(config), f32),
      "rope.scaling.type": text("none"),
      logit_scale: f32(config.number("logit_scale", 0.0625)),
    };
  },
  names: decoderNames,
  // The output is the embeddings.
  skip: new RegExp(`${buffers.source}|^lm_head\\.`),
};
