/**
 * A tiny model of every architecture that can be converted, made by the executable and run by
 * llama.cpp: names, shapes and keys are what it wants. Weights are noise, so only that there is an
 * answer counts.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { supportedClasses } from "../../src/model/convert/architectures/table.ts";
import { haveExecutable, startServer, type TestServer } from "../support/executable.ts";
import { f32, safetensorsBytes, type TestTensor, tokenizerFiles } from "../support/safetensors.ts";

const width = 64;
const heads = 4;
const kvHeads = 2;
const headDim = 16;
const hidden = 96;
const vocabulary = 24;

type Shapes = Record<string, readonly number[]>;

const attention: Shapes = {
  "self_attn.q_proj.weight": [heads * headDim, width],
  "self_attn.k_proj.weight": [kvHeads * headDim, width],
  "self_attn.v_proj.weight": [kvHeads * headDim, width],
  "self_attn.o_proj.weight": [width, heads * headDim],
};
const gated: Shapes = {
  "mlp.gate_proj.weight": [hidden, width],
  "mlp.up_proj.weight": [hidden, width],
  "mlp.down_proj.weight": [width, hidden],
};
const norms: Shapes = {
  "input_layernorm.weight": [width],
  "post_attention_layernorm.weight": [width],
};
const sandwich: Shapes = {
  ...norms,
  "pre_feedforward_layernorm.weight": [width],
  "post_feedforward_layernorm.weight": [width],
};
const headNorms: Shapes = {
  "self_attn.q_norm.weight": [headDim],
  "self_attn.k_norm.weight": [headDim],
};
const plainLayer: Shapes = { ...norms, ...attention, ...gated };
const biases = (shapes: Shapes): Shapes =>
  Object.fromEntries(
    Object.entries(shapes).flatMap(([name, shape]) => [
      [name, shape],
      [name.replace(/weight$/, "bias"), shape.slice(0, 1)],
    ]),
  );

function experts(place: string, parts: Readonly<Record<string, readonly number[]>>): Shapes {
  return Object.fromEntries(
    [0, 1, 2, 3].flatMap((i) =>
      Object.entries(parts).map(([part, shape]) => [`${place}.experts.${i}.${part}.weight`, shape]),
    ),
  );
}

interface Kind {
  readonly layer: Shapes;
  readonly config?: Record<string, unknown>;
  /** Tensors outside of the layers; those of a decoder by default. */
  readonly outside?: Shapes;
  /** Prefix of layers. */
  readonly layers?: string;
  readonly embeds?: boolean;
  readonly files?: Readonly<Record<string, unknown>>;
}

const decoder: Shapes = {
  "model.embed_tokens.weight": [vocabulary, width],
  "model.norm.weight": [width],
};
const untied: Shapes = { ...decoder, "lm_head.weight": [vocabulary, width] };
const moe = { num_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: hidden };
const moeParts = {
  gate_proj: [hidden, width],
  up_proj: [hidden, width],
  down_proj: [width, hidden],
};

/** libllama's ids of BERT's special tokens go up to 103: smaller vocabularies end it. */
const words = 128;

const wordPiece = {
  "tokenizer.json": {
    added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map((content, id) => ({
      id,
      content,
      special: true,
    })),
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      vocab: Object.fromEntries(
        Array.from({ length: words }, (_, id) => [
          ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ..."abcdefghij"][id] ?? `##${id}`,
          id,
        ]),
      ),
    },
  },
  "tokenizer_config.json": {
    unk_token: "[UNK]",
    cls_token: "[CLS]",
    sep_token: "[SEP]",
    pad_token: "[PAD]",
  },
};

const bertLayer = biases({
  "attention.self.query.weight": [width, width],
  "attention.self.key.weight": [width, width],
  "attention.self.value.weight": [width, width],
  "attention.output.dense.weight": [width, width],
  "attention.output.LayerNorm.weight": [width],
  "intermediate.dense.weight": [hidden, width],
  "output.dense.weight": [width, hidden],
  "output.LayerNorm.weight": [width],
});
const bertOutside = (prefix: string, norm: string): Shapes => ({
  [`${prefix}word_embeddings.weight`]: [words, width],
  [`${prefix}token_type_embeddings.weight`]: [2, width],
  [`${norm}.weight`]: [width],
  [`${norm}.bias`]: [width],
});
const bert: Kind = {
  embeds: true,
  files: wordPiece,
  layers: "encoder.layer.",
  layer: bertLayer,
  outside: {
    ...bertOutside("embeddings.", "embeddings.LayerNorm"),
    "embeddings.position_embeddings.weight": [64, width],
  },
  config: { type_vocab_size: 2, vocab_size: words },
};
const nomicLayer: Shapes = {
  "attn.Wqkv.weight": [3 * width, width],
  "attn.out_proj.weight": [width, width],
  "norm1.weight": [width],
  "norm1.bias": [width],
  "norm2.weight": [width],
  "norm2.bias": [width],
  "mlp.fc11.weight": [hidden, width],
  "mlp.fc12.weight": [hidden, width],
  "mlp.fc2.weight": [width, hidden],
};

const gemma3: Kind = {
  layer: { ...sandwich, ...attention, ...gated, ...headNorms },
  config: { head_dim: headDim, sliding_window: 32 },
};

const kinds: Record<string, Kind> = {
  LlamaForCausalLM: { layer: plainLayer, outside: untied },
  MistralForCausalLM: { layer: plainLayer, outside: untied, config: { sliding_window: 32 } },
  MixtralForCausalLM: {
    layer: {
      ...norms,
      ...attention,
      "block_sparse_moe.gate.weight": [4, width],
      ...experts("block_sparse_moe", {
        w1: [hidden, width],
        w2: [width, hidden],
        w3: [hidden, width],
      }),
    },
    outside: untied,
    config: { num_local_experts: 4, num_experts_per_tok: 2 },
  },
  Qwen2ForCausalLM: {
    layer: {
      ...plainLayer,
      "self_attn.q_proj.bias": [width],
      "self_attn.k_proj.bias": [32],
      "self_attn.v_proj.bias": [32],
    },
  },
  Qwen2MoeForCausalLM: {
    layer: {
      ...norms,
      ...attention,
      "self_attn.q_proj.bias": [width],
      "self_attn.k_proj.bias": [32],
      "self_attn.v_proj.bias": [32],
      "mlp.gate.weight": [4, width],
      ...experts("mlp", moeParts),
      "mlp.shared_expert.gate_proj.weight": [hidden, width],
      "mlp.shared_expert.up_proj.weight": [hidden, width],
      "mlp.shared_expert.down_proj.weight": [width, hidden],
      "mlp.shared_expert_gate.weight": [1, width],
    },
    outside: untied,
    config: { ...moe, shared_expert_intermediate_size: hidden },
  },
  Qwen3ForCausalLM: { layer: { ...plainLayer, ...headNorms }, config: { head_dim: headDim } },
  Qwen3MoeForCausalLM: {
    layer: {
      ...norms,
      ...attention,
      ...headNorms,
      "mlp.gate.weight": [4, width],
      ...experts("mlp", moeParts),
    },
    outside: untied,
    config: { ...moe, head_dim: headDim },
  },
  GemmaForCausalLM: { layer: plainLayer, config: { head_dim: headDim } },
  Gemma2ForCausalLM: {
    layer: { ...sandwich, ...attention, ...gated },
    config: {
      head_dim: headDim,
      sliding_window: 32,
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
    },
  },
  Gemma3ForCausalLM: gemma3,
  Gemma3ForConditionalGeneration: gemma3,
  Phi3ForCausalLM: {
    layer: {
      ...norms,
      "self_attn.qkv_proj.weight": [(heads + 2 * kvHeads) * headDim, width],
      "self_attn.o_proj.weight": [width, width],
      "mlp.gate_up_proj.weight": [2 * hidden, width],
      "mlp.down_proj.weight": [width, hidden],
    },
    outside: untied,
  },
  GraniteForCausalLM: {
    layer: plainLayer,
    config: {
      attention_multiplier: 0.1,
      embedding_multiplier: 2,
      residual_multiplier: 0.5,
      logits_scaling: 4,
    },
  },
  SmolLM3ForCausalLM: { layer: plainLayer },
  Olmo2ForCausalLM: {
    layer: {
      ...attention,
      ...gated,
      "post_attention_layernorm.weight": [width],
      "post_feedforward_layernorm.weight": [width],
      "self_attn.q_norm.weight": [heads * headDim],
      "self_attn.k_norm.weight": [kvHeads * headDim],
    },
    outside: untied,
  },
  CohereForCausalLM: {
    layer: { ...attention, ...gated, "input_layernorm.weight": [width] },
    config: { logit_scale: 0.1 },
  },
  Starcoder2ForCausalLM: {
    layer: biases({
      ...norms,
      ...attention,
      "mlp.c_fc.weight": [hidden, width],
      "mlp.c_proj.weight": [width, hidden],
    }),
    outside: { ...decoder, "model.norm.bias": [width] },
  },
  BertModel: bert,
  NomicBertModel: {
    ...bert,
    layers: "encoder.layers.",
    layer: nomicLayer,
    outside: bertOutside("embeddings.", "emb_ln"),
    config: { type_vocab_size: 2, vocab_size: words, n_inner: hidden, n_positions: 64 },
  },
};

/** The same as another one here. */
const alike: Record<string, string> = {
  BertForMaskedLM: "BertModel",
  Qwen2Model: "Qwen2ForCausalLM",
  Qwen3Model: "Qwen3ForCausalLM",
  Olmo3ForCausalLM: "Olmo2ForCausalLM",
  NomicBertMoEModel: "NomicBertModel",
  Gemma3TextModel: "Gemma3ForCausalLM",
};

function filesOf(name: string, kind: Kind): Record<string, Uint8Array> {
  const tensors: Record<string, TestTensor> = {};
  let seed = 1;
  for (const [tensor, shape] of Object.entries(kind.outside ?? decoder)) {
    tensors[tensor] = f32(shape, seed++);
  }
  for (const layer of [0, 1]) {
    for (const [tensor, shape] of Object.entries(kind.layer)) {
      tensors[`${kind.layers ?? "model.layers."}${layer}.${tensor}`] = f32(shape, seed++);
    }
  }
  const config = {
    architectures: [name],
    hidden_size: width,
    intermediate_size: hidden,
    num_hidden_layers: 2,
    num_attention_heads: heads,
    num_key_value_heads: kind.embeds ? heads : kvHeads,
    max_position_embeddings: 64,
    vocab_size: vocabulary,
    rope_theta: 10000,
    ...kind.config,
  };
  const json = Object.entries({ ...(kind.files ?? tokenizerFiles), "config.json": config });
  return {
    "model.safetensors": safetensorsBytes(tensors),
    ...Object.fromEntries(json.map(([file, value]) => [file, Buffer.from(JSON.stringify(value))])),
  };
}

describe.skipIf(!haveExecutable)("every architecture", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  for (const [name, kind] of Object.entries(kinds)) {
    test(`${name} is converted and runs`, async () => {
      const files: Record<string, string> = {};
      for (const [file, bytes] of Object.entries(filesOf(name, kind))) {
        const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
        await fetch(`${server.url}/api/blobs/${digest}`, { method: "POST", body: bytes });
        files[file] = digest;
      }
      const made = await server.post("/api/create", { model: "tiny", files, stream: false });
      expect(await made.json()).toEqual({ status: "success" });
      const answer = kind.embeds
        ? await server.post("/api/embed", { model: "tiny", input: "abc" })
        : await server.post("/api/generate", {
            model: "tiny",
            prompt: "abc",
            raw: true,
            stream: false,
            options: { num_predict: 3, temperature: 0 },
          });
      const body = (await answer.json()) as { error?: string; embeddings?: number[][] };
      expect([answer.status, body.error]).toEqual([200, undefined]);
      if (kind.embeds) expect(body.embeddings?.[0]).toHaveLength(width);
    });
  }

  test("none is forgotten here", () => {
    const tried = new Set([...Object.keys(kinds), ...Object.keys(alike)]);
    expect(supportedClasses.filter((name) => !tried.has(name))).toEqual([]);
  });
});
