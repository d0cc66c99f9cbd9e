/** What is derived from a GGUF's head: architecture, sizes, texts for lists, and its soundness. */
import { humanNumber } from "../human.ts";
import { type GgufHead, type GgufScalar, readArray, readGguf } from "./reader.ts";
import { fileTypes } from "./types.ts";

export interface GgufFacts {
  readonly architecture: string;
  /** Elements of all tensors. */
  readonly parameterCount: number;
  /** `8.0B`. */
  readonly parameterSize: string;
  /** `Q4_K_M`, `unknown`. */
  readonly fileType: string;
  /** 0 when the file does not say. */
  readonly contextLength: number;
  readonly embeddingLength: number;
  readonly blockCount: number;
  /** Attention heads, and those of keys and values; of the first layer where they differ. */
  readonly heads: number;
  readonly kvHeads: number;
  /** No tensor is quantised. */
  readonly unquantized: boolean;
  readonly chatTemplate: string | undefined;
  /** Has a pooling type: an embedding model. */
  readonly pooled: boolean;
  /** Its vectors are scaled to length 1 where the route does not do it (api.md 8.2). */
  readonly normalizesEmbeddings: boolean;
  readonly vision: boolean;
  readonly audio: boolean;
  /** clip's name of how images become rows, of projectors. */
  readonly projectorType: string | undefined;
  readonly kind: "model" | "adapter" | "projector";
  /** Bytes of KV cache that one token takes with f16, 0 when unknown or without a cache. */
  readonly kvBytesPerToken: number;
  /** Tokens that the tokenizer knows, 0 when the file does not say. */
  readonly vocabularySize: number;
  /** The file says that texts begin with BOS, or has a tokenizer that begins them so whatever it says. */
  readonly saysBos: boolean;
  /** Bytes of all tensors. */
  readonly tensorBytes: number;
  /** llama.cpp's number of its pooling type (0 none, 3 last token), undefined when it names none. */
  readonly poolingType: number | undefined;
  /** Reads from left to right; others evaluate a text in one piece and keep no cache. */
  readonly causal: boolean;
}

function scalar(head: GgufHead, key: string): GgufScalar | undefined {
  const found = head.metadata.get(key);
  return found === undefined || found.type === "array" ? undefined : found.value;
}

/** A whole number, 0 when missing; of an array the first element. */
export function whole(head: GgufHead, key: string): number {
  const found = head.metadata.get(key);
  if (found === undefined) return 0;
  if (found.type === "array") {
    if (found.value.type === "string") return 0;
    return Number(readArray(head.path, found.value, 1)[0] ?? 0);
  }
  return typeof found.value === "string" ? 0 : Number(found.value);
}

function architectureOf(head: GgufHead): string {
  const value = scalar(head, "general.architecture");
  return typeof value === "string" ? value : "unknown";
}

function kindOf(head: GgufHead, arch: string): GgufFacts["kind"] {
  const general = scalar(head, "general.type");
  if (general === "adapter") return "adapter";
  if (general === "projector" || general === "mmproj") return "projector";
  const blocks = whole(head, `${arch}.block_count`);
  const vision = whole(head, `${arch}.vision.block_count`);
  const encoder = scalar(head, "clip.has_vision_encoder") ?? scalar(head, "clip.has_audio_encoder");
  if (blocks === 0 && (vision > 0 || (arch === "clip" && encoder === true))) return "projector";
  return "model";
}

/** Nomic's models must say that they want it; BERT's with WordPiece may say that they do not. */
function normalizes(head: GgufHead, arch: string): boolean {
  const said = scalar(head, `${arch}.normalize_embeddings`);
  if (arch === "nomic-bert" || arch === "nomic-bert-moe") return said === true;
  if (arch !== "bert") return true;
  return scalar(head, "tokenizer.ggml.model") === "bert" && said !== false;
}

function saysBos(head: GgufHead): boolean {
  const [pre, tokenizer] = ["pre", "model"].map((key) => scalar(head, `tokenizer.ggml.${key}`));
  if (pre === "lfm2" || pre === "gemma4" || tokenizer === "gemma4") return true;
  return scalar(head, "tokenizer.ggml.add_bos_token") === true;
}

function lengthOf(head: GgufHead, key: string): number {
  const found = head.metadata.get(key);
  return found?.type === "array" ? found.value.length : 0;
}

/** Head and facts of a file that has been checked before. @throws GgufError */
export function readFacts(path: string): { head: GgufHead; facts: GgufFacts } {
  const head = readGguf(path);
  return { head, facts: factsOf(head) };
}

/** Derives everything; reads a few array elements at most. */
export function factsOf(head: GgufHead): GgufFacts {
  const arch = architectureOf(head);
  const parameterCount = head.tensors.reduce((sum, { elements }) => sum + elements, 0);
  const fileType = scalar(head, "general.file_type");
  const template = scalar(head, "tokenizer.chat_template");
  const heads = whole(head, `${arch}.attention.head_count`);
  const embeddingLength = whole(head, `${arch}.embedding_length`);
  const blockCount = whole(head, `${arch}.block_count`);
  const kvHeads = whole(head, `${arch}.attention.head_count_kv`) || heads;
  const width = heads > 0 ? Math.floor(embeddingLength / heads) : 0;
  const keyLength = whole(head, `${arch}.attention.key_length`) || width;
  const valueLength = whole(head, `${arch}.attention.value_length`) || width;
  const projectorType =
    scalar(head, "clip.vision.projector_type") ?? scalar(head, "clip.projector_type");
  const causal = scalar(head, `${arch}.attention.causal`) !== false;
  const pooled = head.metadata.has(`${arch}.pooling_type`);
  const kvPerBlock = kvHeads * (keyLength + valueLength) * 2;
  return {
    architecture: arch,
    parameterCount,
    parameterSize: humanNumber(parameterCount),
    // File type 0 counts as absent in the reference; hutch says F32 where all weights are (README of the vectors).
    fileType: fileType === undefined ? "unknown" : (fileTypes[Number(fileType)] ?? "unknown"),
    contextLength: whole(head, `${arch}.context_length`),
    embeddingLength,
    blockCount,
    heads,
    kvHeads,
    unquantized: head.tensors.every(({ type }) => ["F32", "F16", "BF16"].includes(type.name)),
    chatTemplate: typeof template === "string" && template !== "" ? template : undefined,
    pooled,
    poolingType: pooled ? whole(head, `${arch}.pooling_type`) : undefined,
    normalizesEmbeddings: normalizes(head, arch),
    vision: whole(head, `${arch}.vision.block_count`) > 0,
    audio: whole(head, `${arch}.audio.block_count`) > 0,
    projectorType: typeof projectorType === "string" ? projectorType : undefined,
    kind: kindOf(head, arch),
    kvBytesPerToken: causal ? blockCount * kvPerBlock : 0,
    vocabularySize: lengthOf(head, "tokenizer.ggml.tokens"),
    saysBos: saysBos(head),
    tensorBytes: head.tensors.reduce((sum, { bytes }) => sum + bytes, 0),
    causal,
  };
}
