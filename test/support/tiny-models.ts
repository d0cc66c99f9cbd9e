/**
 * Over 400 lines because all kinds share vocabulary, writer and shapes.
 * Models with random weights, for tests of the engine: small enough to be made in milliseconds, the
 * same for the same seed. What they say means nothing; that it depends on what they read is all that
 * tests need.
 */
import { type WriteTensor, type WriteValue, writeGguf } from "../../src/model/gguf/writer.ts";

type Metadata = Record<string, WriteValue>;
type Shapes = Record<string, readonly number[]>;

const u32 = (value: number): WriteValue => ({ type: "uint32", value });
const f32 = (value: number): WriteValue => ({ type: "float32", value });
const text = (value: string): WriteValue => ({ type: "string", value });
const yes: WriteValue = { type: "bool", value: true };
const floats = (...values: number[]): WriteValue => ({ type: "array", of: "float32", values });
const integers = (...values: number[]): WriteValue => ({ type: "array", of: "int32", values });
const strings = (values: readonly string[]): WriteValue => ({
  type: "array",
  of: "string",
  values,
});

/** Numbers in [-1, 1): mulberry32. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** Norms are near one, decays near minus one, everything else is random around zero. */
function tensors(shapes: Shapes, seed: number, noise: number): WriteTensor[] {
  const next = randomNumbers(seed);
  const other = randomNumbers(seed + 1);
  return Object.entries(shapes).map(([name, shape]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const middle = /norm.*weight$|ln[12].weight$/.test(name) ? 1 : name.endsWith("ssm_a") ? -1 : 0;
    const spread = shape.length === 1 ? 0.1 : 1.7 / Math.sqrt(shape[0] ?? 1);
    const values = Float32Array.from(
      { length: count },
      () => middle + (next() + noise * other()) * spread,
    );
    return { name, type: 0, shape, data: () => [new Uint8Array(values.buffer)] };
  });
}

function gguf(metadata: Metadata, shapes: Shapes, seed: number, noise = 0): Uint8Array {
  const parts: Uint8Array[] = [];
  writeGguf(
    { write: (bytes) => parts.push(bytes.slice()) },
    { metadata: Object.entries(metadata), tensors: tensors(shapes, seed, noise) },
  );
  return Buffer.concat(parts);
}

/** Marks that the tokenizers of vision models know as one token. */
const marks = ["<start_of_image>", "<end_of_image>", "<|vision_start|>", "<|vision_end|>"];

/** SentencePiece with bytes, letters, marks, and words that were added. */
function byteVocabulary(words: readonly string[]): { metadata: Metadata; size: number } {
  const bytes = Array.from(
    { length: 256 },
    (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const letters = ["▁", ..."abcdefghijklmnopqrstuvwxyz"];
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...letters, ...marks, ...words];
  const types = [
    ...[2, 3, 3],
    ...bytes.map(() => 6),
    ...letters.map(() => 1),
    ...marks.map(() => 3),
    ...words.map(() => 4),
  ];
  return {
    size: tokens.length,
    metadata: {
      "tokenizer.ggml.model": text("llama"),
      "tokenizer.ggml.tokens": strings(tokens),
      "tokenizer.ggml.scores": floats(...tokens.map((_, i) => -i)),
      "tokenizer.ggml.token_type": integers(...types),
      "tokenizer.ggml.bos_token_id": u32(1),
      "tokenizer.ggml.eos_token_id": u32(2),
    },
  };
}

const width = 32;
const feedForward = 64;
const heads = 4;

export type TinyArchitecture = "llama" | "gemma3" | "qwen2vl";

export interface TinyOptions {
  readonly seed?: number;
  /** How far the weights of a decoder are from those of its seed: with a little it says much the same. */
  readonly noise?: number;
  /** Tokens that gemma3 looks back at in five of six layers. */
  readonly window?: number;
  /** Two when absent. */
  readonly layers?: number;
  /** Heads of keys and values of a decoder; as many as of queries, four, when absent. */
  readonly keyHeads?: number;
  readonly contextLength?: number;
  /** llama.cpp's number of a pooling type; makes it an embedding model. */
  readonly pooling?: number;
  /** Whether the tokenizer of a decoder puts a token in front; as SentencePiece by default. */
  readonly bos?: boolean;
  /** Jinja chat template of a decoder. */
  readonly chatTemplate?: string;
  /** Tokens of a decoder that are never to be sampled. */
  readonly suppressed?: readonly number[];
  /** Words that were added to the vocabulary of a decoder. */
  readonly words?: readonly string[];
}

/** A decoder. */
export function tinyDecoder(arch: TinyArchitecture, options: TinyOptions = {}): Uint8Array {
  const { seed = 1, contextLength = 4096, pooling, bos = true } = options;
  const { chatTemplate, suppressed = [], words = [], noise = 0, window, layers = 2 } = options;
  const { keyHeads = heads } = options;
  const { metadata, size } = byteVocabulary(words);
  const shapes: Record<string, number[]> = {
    "token_embd.weight": [width, size],
    "output_norm.weight": [width],
    "output.weight": [width, size],
  };
  for (let layer = 0; layer < layers; layer++) {
    Object.assign(shapes, decoderBlock(`blk.${layer}`, arch, keyHeads));
  }
  return gguf(
    {
      "general.architecture": text(arch),
      ...metadata,
      [`${arch}.context_length`]: u32(contextLength),
      [`${arch}.embedding_length`]: u32(width),
      [`${arch}.block_count`]: u32(layers),
      [`${arch}.feed_forward_length`]: u32(feedForward),
      [`${arch}.attention.head_count`]: u32(heads),
      [`${arch}.attention.head_count_kv`]: u32(keyHeads),
      [`${arch}.attention.layer_norm_rms_epsilon`]: f32(1e-5),
      [`${arch}.rope.dimension_count`]: u32(width / heads),
      ...(arch === "qwen2vl" ? { "qwen2vl.rope.dimension_sections": integers(2, 1, 1, 0) } : {}),
      ...(window === undefined ? {} : { [`${arch}.attention.sliding_window`]: u32(window) }),
      ...(pooling === undefined ? {} : { [`${arch}.pooling_type`]: u32(pooling) }),
      ...(chatTemplate === undefined ? {} : { "tokenizer.chat_template": text(chatTemplate) }),
      ...(suppressed.length > 0
        ? { "tokenizer.ggml.suppress_tokens": integers(...suppressed) }
        : {}),
      ...(bos ? {} : { "tokenizer.ggml.add_bos_token": { type: "bool", value: false } }),
    },
    shapes,
    seed,
    noise,
  );
}

/** A recurrent model: its memory is one state, which cannot go back. */
export function tinyMamba(seed = 1): Uint8Array {
  const { metadata, size } = byteVocabulary([]);
  const [inner, state, convolution, rank] = [2 * width, 16, 4, 8];
  const shapes: Record<string, number[]> = {
    "token_embd.weight": [width, size],
    "output_norm.weight": [width],
    "output.weight": [width, size],
  };
  for (const block of ["blk.0", "blk.1"]) {
    Object.assign(shapes, {
      [`${block}.attn_norm.weight`]: [width],
      [`${block}.ssm_in.weight`]: [width, 2 * inner],
      [`${block}.ssm_conv1d.weight`]: [convolution, inner],
      [`${block}.ssm_conv1d.bias`]: [inner],
      [`${block}.ssm_x.weight`]: [inner, rank + 2 * state],
      [`${block}.ssm_dt.weight`]: [rank, inner],
      [`${block}.ssm_dt.bias`]: [inner],
      [`${block}.ssm_a`]: [state, inner],
      [`${block}.ssm_d`]: [inner],
      [`${block}.ssm_out.weight`]: [inner, width],
    });
  }
  return gguf(
    {
      "general.architecture": text("mamba"),
      ...metadata,
      "mamba.context_length": u32(4096),
      "mamba.embedding_length": u32(width),
      "mamba.feed_forward_length": u32(0),
      "mamba.attention.head_count": u32(0),
      "mamba.block_count": u32(2),
      "mamba.ssm.conv_kernel": u32(convolution),
      "mamba.ssm.inner_size": u32(inner),
      "mamba.ssm.state_size": u32(state),
      "mamba.ssm.time_step_rank": u32(rank),
      "mamba.attention.layer_norm_rms_epsilon": f32(1e-5),
    },
    shapes,
    seed,
  );
}

function decoderBlock(block: string, arch: TinyArchitecture, keyHeads: number): Shapes {
  const head = width / heads;
  const keys = head * keyHeads;
  return {
    [`${block}.attn_norm.weight`]: [width],
    [`${block}.attn_q.weight`]: [width, width],
    [`${block}.attn_k.weight`]: [width, keys],
    [`${block}.attn_v.weight`]: [width, keys],
    [`${block}.attn_output.weight`]: [width, width],
    [`${block}.ffn_norm.weight`]: [width],
    [`${block}.ffn_gate.weight`]: [width, feedForward],
    [`${block}.ffn_up.weight`]: [width, feedForward],
    [`${block}.ffn_down.weight`]: [feedForward, width],
    ...(arch === "gemma3"
      ? {
          [`${block}.attn_q_norm.weight`]: [head],
          [`${block}.attn_k_norm.weight`]: [head],
          [`${block}.post_attention_norm.weight`]: [width],
          [`${block}.post_ffw_norm.weight`]: [width],
        }
      : {}),
    ...(arch === "qwen2vl"
      ? {
          [`${block}.attn_q.bias`]: [width],
          [`${block}.attn_k.bias`]: [keys],
          [`${block}.attn_v.bias`]: [keys],
        }
      : {}),
  };
}

/** A BERT encoder with WordPiece: letters as words and as ends of words. */
export function tinyEncoder(options: TinyOptions = {}): Uint8Array {
  const { seed = 1, contextLength = 512, pooling = 1 } = options;
  const letters = Array.from("abcdefghijklmnopqrstuvwxyz0123456789");
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const tokens = [...special, ...letters.map((letter) => `▁${letter}`), ...letters];
  const shapes: Record<string, readonly number[]> = {
    "token_embd.weight": [width, tokens.length],
    "token_types.weight": [width, 2],
    "position_embd.weight": [width, contextLength],
    "token_embd_norm.weight": [width],
    "token_embd_norm.bias": [width],
    ...(pooling === 4 ? { "cls.output.weight": [width, 1], "cls.output.bias": [1] } : {}),
  };
  for (const block of ["blk.0", "blk.1"]) {
    for (const name of ["attn_q", "attn_k", "attn_v", "attn_output"]) {
      shapes[`${block}.${name}.weight`] = [width, width];
      shapes[`${block}.${name}.bias`] = [width];
    }
    for (const name of ["attn_output_norm", "layer_output_norm"]) {
      shapes[`${block}.${name}.weight`] = [width];
      shapes[`${block}.${name}.bias`] = [width];
    }
    shapes[`${block}.ffn_up.weight`] = [width, feedForward];
    shapes[`${block}.ffn_up.bias`] = [feedForward];
    shapes[`${block}.ffn_down.weight`] = [feedForward, width];
    shapes[`${block}.ffn_down.bias`] = [width];
  }
  return gguf(
    {
      "general.architecture": text("bert"),
      "bert.context_length": u32(contextLength),
      "bert.embedding_length": u32(width),
      "bert.block_count": u32(2),
      "bert.feed_forward_length": u32(feedForward),
      "bert.attention.head_count": u32(heads),
      "bert.attention.layer_norm_epsilon": f32(1e-12),
      "bert.attention.causal": { type: "bool", value: false },
      "bert.pooling_type": u32(pooling),
      "tokenizer.ggml.model": text("bert"),
      "tokenizer.ggml.pre": text("default"),
      "tokenizer.ggml.tokens": strings(tokens),
      "tokenizer.ggml.token_type": integers(...tokens.map((_, i) => (i < 5 ? 3 : 1))),
      "tokenizer.ggml.token_type_count": u32(2),
      "tokenizer.ggml.padding_token_id": u32(0),
      "tokenizer.ggml.unknown_token_id": u32(1),
      "tokenizer.ggml.cls_token_id": u32(2),
      "tokenizer.ggml.bos_token_id": u32(2),
      "tokenizer.ggml.seperator_token_id": u32(3),
      "tokenizer.ggml.eos_token_id": u32(3),
      "tokenizer.ggml.mask_token_id": u32(4),
    },
    shapes,
    seed,
  );
}

export type TinyProjector = "mlp" | "gemma3" | "qwen2vl_merger" | "qwen2a";

const clipWidth = 16;
const clipFeedForward = 32;
const patch = 8;
const imageSize = 64;

function clipBlocks(prefix: string, bias: readonly string[]): Shapes {
  const shapes: Record<string, readonly number[]> = {};
  for (const block of [`${prefix}.blk.0`, `${prefix}.blk.1`]) {
    for (const name of ["attn_q", "attn_k", "attn_v", "attn_out"]) {
      shapes[`${block}.${name}.weight`] = [clipWidth, clipWidth];
      if (bias.includes(name)) shapes[`${block}.${name}.bias`] = [clipWidth];
    }
    for (const name of ["ln1", "ln2"]) {
      shapes[`${block}.${name}.weight`] = [clipWidth];
      shapes[`${block}.${name}.bias`] = [clipWidth];
    }
    shapes[`${block}.ffn_up.weight`] = [clipWidth, clipFeedForward];
    shapes[`${block}.ffn_up.bias`] = [clipFeedForward];
    shapes[`${block}.ffn_down.weight`] = [clipFeedForward, clipWidth];
    shapes[`${block}.ffn_down.bias`] = [clipWidth];
  }
  return shapes;
}

function clipMetadata(kind: TinyProjector, part: "vision" | "audio"): Metadata {
  return {
    "general.architecture": text("clip"),
    "general.type": text("mmproj"),
    "clip.projector_type": text(kind),
    [`clip.has_${part}_encoder`]: yes,
    [`clip.${part}.embedding_length`]: u32(clipWidth),
    [`clip.${part}.feed_forward_length`]: u32(clipFeedForward),
    [`clip.${part}.block_count`]: u32(2),
    [`clip.${part}.attention.head_count`]: u32(2),
    [`clip.${part}.attention.layer_norm_epsilon`]: f32(1e-5),
    [`clip.${part}.projection_dim`]: u32(width),
  };
}

/** Weights between a vision encoder and the model, by kind of projector. */
const projections: Record<Exclude<TinyProjector, "qwen2a">, Shapes> = {
  mlp: {
    "mm.0.weight": [clipWidth, width],
    "mm.0.bias": [width],
    "mm.2.weight": [width, width],
    "mm.2.bias": [width],
  },
  gemma3: {
    "mm.input_projection.weight": [width, clipWidth],
    "mm.soft_emb_norm.weight": [clipWidth],
  },
  qwen2vl_merger: {
    "v.patch_embd.weight.1": [patch, patch, 3, clipWidth],
    "mm.0.weight": [4 * clipWidth, 4 * clipWidth],
    "mm.0.bias": [4 * clipWidth],
    "mm.2.weight": [4 * clipWidth, width],
    "mm.2.bias": [width],
  },
};

/**
 * A projector for the decoders above. Images become 64 rows (`mlp`), 16 rows that are decoded at once
 * (`gemma3`), or a number by their size with M-RoPE (`qwen2vl_merger`); sound becomes 750 (`qwen2a`).
 */
export function tinyProjector(kind: TinyProjector, seed = 1): Uint8Array {
  if (kind === "qwen2a") return soundProjector(seed);
  return gguf(
    {
      ...clipMetadata(kind, "vision"),
      "clip.use_gelu": yes,
      "clip.vision.image_size": u32(imageSize),
      "clip.vision.patch_size": u32(patch),
      "clip.vision.image_mean": floats(0.5, 0.5, 0.5),
      "clip.vision.image_std": floats(0.5, 0.5, 0.5),
      ...(kind === "gemma3" ? { "clip.vision.projector.scale_factor": u32(2) } : {}),
    },
    {
      "v.patch_embd.weight": [patch, patch, 3, clipWidth],
      ...(kind === "qwen2vl_merger"
        ? {}
        : { "v.position_embd.weight": [clipWidth, (imageSize / patch) ** 2] }),
      "v.post_ln.weight": [clipWidth],
      "v.post_ln.bias": [clipWidth],
      ...clipBlocks("v", ["attn_q", "attn_k", "attn_v", "attn_out"]),
      ...projections[kind],
    },
    seed,
  );
}

function soundProjector(seed: number): Uint8Array {
  const bands = 80;
  return gguf(
    { ...clipMetadata("qwen2a", "audio"), "clip.audio.num_mel_bins": u32(bands) },
    {
      "a.conv1d.1.weight": [3, bands, clipWidth],
      "a.conv1d.1.bias": [1, clipWidth],
      "a.conv1d.2.weight": [3, clipWidth, clipWidth],
      "a.conv1d.2.bias": [1, clipWidth],
      "a.position_embd.weight": [clipWidth, 1500],
      "a.post_ln.weight": [clipWidth],
      "a.post_ln.bias": [clipWidth],
      ...clipBlocks("a", ["attn_q", "attn_v", "attn_out"]),
      "mm.a.fc.weight": [clipWidth, width],
      "mm.a.fc.bias": [width],
    },
    seed,
  );
}
