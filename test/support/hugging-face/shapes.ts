/**
 * Tiny models as Hugging Face's folders hold them: shapes that many architectures share, and the files of a
 * model of noise.
 */
import { f32, safetensorsBytes, type TestTensor, tokenizerFiles } from "../safetensors.ts";

export const width = 64;
export const heads = 4;
export const kvHeads = 2;
export const headDim = 16;
export const hidden = 96;
export const vocabulary = 24;

export type Shapes = Record<string, readonly number[]>;

export const attention: Shapes = {
  "self_attn.q_proj.weight": [heads * headDim, width],
  "self_attn.k_proj.weight": [kvHeads * headDim, width],
  "self_attn.v_proj.weight": [kvHeads * headDim, width],
  "self_attn.o_proj.weight": [width, heads * headDim],
};
export const gated: Shapes = {
  "mlp.gate_proj.weight": [hidden, width],
  "mlp.up_proj.weight": [hidden, width],
  "mlp.down_proj.weight": [width, hidden],
};
export const norms: Shapes = {
  "input_layernorm.weight": [width],
  "post_attention_layernorm.weight": [width],
};
export const sandwich: Shapes = {
  ...norms,
  "pre_feedforward_layernorm.weight": [width],
  "post_feedforward_layernorm.weight": [width],
};
export const headNorms: Shapes = {
  "self_attn.q_norm.weight": [headDim],
  "self_attn.k_norm.weight": [headDim],
};
export const plainLayer: Shapes = { ...norms, ...attention, ...gated };
export const biases = (shapes: Shapes): Shapes =>
  Object.fromEntries(
    Object.entries(shapes).flatMap(([name, shape]) => [
      [name, shape],
      [name.replace(/weight$/, "bias"), shape.slice(0, 1)],
    ]),
  );

export function experts(place: string, parts: Readonly<Record<string, readonly number[]>>): Shapes {
  return Object.fromEntries(
    [0, 1, 2, 3].flatMap((i) =>
      Object.entries(parts).map(([part, shape]) => [`${place}.experts.${i}.${part}.weight`, shape]),
    ),
  );
}

export interface Kind {
  /** Tensors of a layer, below its prefix. */
  readonly layer: Shapes | ((layer: number) => Shapes);
  /** Number of layers, 2 by default. */
  readonly count?: number;
  /** Tensors that are not floats, by their whole names. */
  readonly codes?: Readonly<Record<string, readonly number[]>>;
  readonly config?: Record<string, unknown>;
  /** Tensors outside of the layers; those of a decoder by default. */
  readonly outside?: Shapes;
  /** Prefix of layers. */
  readonly layers?: string;
  readonly embeds?: boolean;
  /** Asked with a picture. */
  readonly sees?: boolean;
  /** Weights in folders of their own. */
  readonly folders?: Readonly<Record<string, Shapes>>;
  readonly files?: Readonly<Record<string, unknown>>;
}

export const decoder: Shapes = {
  "model.embed_tokens.weight": [vocabulary, width],
  "model.norm.weight": [width],
};
export const untied: Shapes = { ...decoder, "lm_head.weight": [vocabulary, width] };
export const moe = { num_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: hidden };
export const moeParts = {
  gate_proj: [hidden, width],
  up_proj: [hidden, width],
  down_proj: [width, hidden],
};

/** Bytes near 120: as codes anything, as powers of two near one. */
function codes(shape: readonly number[]): TestTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return { dtype: "U8", shape, bytes: Uint8Array.from({ length: count }, (_, i) => 118 + (i % 7)) };
}

export function filesOf(name: string, kind: Kind): Record<string, Uint8Array> {
  const tensors: Record<string, TestTensor> = {};
  let seed = 1;
  for (const [tensor, shape] of Object.entries(kind.outside ?? decoder)) {
    tensors[tensor] = f32(shape, seed++);
  }
  const layers = kind.count ?? 2;
  for (let layer = 0; layer < layers; layer++) {
    const shapes = typeof kind.layer === "function" ? kind.layer(layer) : kind.layer;
    for (const [tensor, shape] of Object.entries(shapes)) {
      tensors[`${kind.layers ?? "model.layers."}${layer}.${tensor}`] = f32(shape, seed++);
    }
  }
  for (const [tensor, shape] of Object.entries(kind.codes ?? {})) tensors[tensor] = codes(shape);
  const config = {
    architectures: [name],
    hidden_size: width,
    intermediate_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kind.embeds ? heads : kvHeads,
    max_position_embeddings: 64,
    vocab_size: vocabulary,
    rope_theta: 10000,
    ...kind.config,
  };
  const json = Object.entries({ ...(kind.files ?? tokenizerFiles), "config.json": config });
  const folders = Object.entries(kind.folders ?? {}).map(([folder, shapes]) => [
    `${folder}/model.safetensors`,
    safetensorsBytes(
      Object.fromEntries(Object.entries(shapes).map(([tensor, shape]) => [tensor, f32(shape)])),
    ),
  ]);
  return {
    "model.safetensors": safetensorsBytes(tensors),
    ...Object.fromEntries(folders),
    ...Object.fromEntries(json.map(([file, value]) => [file, Buffer.from(JSON.stringify(value))])),
  };
}
