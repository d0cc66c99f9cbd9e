/** StarCoder 2: biases everywhere, plain layer norms, two matrices a feed-forward layer. */
import {
  type Architecture,
  buffers,
  decoderMetadata,
  decoderNames,
  ropeTheta,
} from "../architecture.ts";
import { attentionOf } from "../config.ts";
import { f32, maybe, u32 } from "../metadata.ts";

export const starcoder2: Architecture = {
  classes: ["Starcoder2ForCausalLM"],
  name: "starcoder2",
  metadata({ config }) {
    const epsilon = { "attention.layer_norm_epsilon": f32(config.number("norm_epsilon", 1e-5)) };
    return {
      ...decoderMetadata(config, attentionOf(config), epsilon),
      "attention.sliding_window": maybe(config.maybeWhole("sliding_window"), u32),
      "rope.freq_base": maybe(ropeTheta(config), f32),
    };
  },
  names: [["mlp.c_fc.", "ffn_up."], ["mlp.c_proj.", "ffn_down."], ...decoderNames],
  skip: buffers,
};
