/** What is derived from a GGUF's head: architecture, sizes, texts for lists, and its soundness. */
import { GgufError } from "../../errors.ts";
import { humanNumber } from "../human.ts";
import { type GgufHead, type GgufScalar, type GgufValue, readArray, readGguf } from "./reader.ts";
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
  readonly kind: "model" | "adapter" | "projector";
  /** Bytes of KV cache that one token takes with f16, 0 when unknown. */
  readonly kvBytesPerToken: number;
}

function scalar(head: GgufHead, key: string): GgufScalar | undefined {
  const found = head.metadata.get(key);
  return found === undefined || found.type === "array" ? undefined : found.value;
}

/** A whole number, 0 when missing; of an array the first element. */
function whole(head: GgufHead, key: string): number {
  const found = head.metadata.get(key);
  if (found === undefined) return 0;
  if (found.type === "array") {
    if (found.value.type === "string") return 0;
    return Number(readArray(head.path, found.value, 1)[0] ?? 0);
  }
  return typeof found.value === "string" ? 0 : Number(found.value);
}

export function architectureOf(head: GgufHead): string {
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
    pooled: head.metadata.has(`${arch}.pooling_type`),
    normalizesEmbeddings: normalizes(head, arch),
    vision: whole(head, `${arch}.vision.block_count`) > 0,
    audio: whole(head, `${arch}.audio.block_count`) > 0,
    kind: kindOf(head, arch),
    kvBytesPerToken: blockCount * kvHeads * (keyLength + valueLength) * 2,
  };
}

/** Largest number of layers that libllama takes (LLAMA_MAX_LAYERS); beyond it the process aborts. */
const mostLayers = 512;

function refuse(key: string, value: GgufValue | undefined, why: string): never {
  const at = value?.offset ?? 0;
  throw new GgufError(`${key} at byte ${at} ${why}`, key, at);
}

/** Keys that must be whole numbers (or arrays of them) when present, below the architecture. */
const wholeKeys = [
  "block_count",
  "context_length",
  "embedding_length",
  "attention.head_count",
  "attention.head_count_kv",
] as const;

const wholeTypes = new Set([
  "uint8",
  "int8",
  "uint16",
  "int16",
  "uint32",
  "int32",
  "uint64",
  "int64",
]);

/**
 * Reads a GGUF and refuses what native code must not see: libllama aborts the process on some of
 * these (security.md). Called when a model is created and before each load.
 * @param options.shard the file may be a later shard, which has tensors only
 * @throws GgufError naming the key and the byte offset
 */
export function checkGguf(
  path: string,
  options: { readonly shard?: boolean } = {},
): { head: GgufHead; facts: GgufFacts } {
  const head = readGguf(path);
  const architecture = head.metadata.get("general.architecture");
  if (options.shard && architecture === undefined && head.metadata.has("split.no")) {
    return { head, facts: factsOf(head) };
  }
  if (architecture?.type !== "string" || architecture.value === "") {
    refuse("general.architecture", architecture, "must be a text");
  }
  const arch = String(architecture.value);
  for (const key of wholeKeys) {
    const full = `${arch}.${key}`;
    const value = head.metadata.get(full);
    if (value === undefined) continue;
    const type = value.type === "array" ? value.value.type : value.type;
    if (!wholeTypes.has(type)) refuse(full, value, "must be a whole number");
  }
  const blocks = head.metadata.get(`${arch}.block_count`);
  if (
    blocks !== undefined &&
    (whole(head, `${arch}.block_count`) > mostLayers || whole(head, `${arch}.block_count`) < 0)
  ) {
    refuse(`${arch}.block_count`, blocks, `must be 0 to ${mostLayers} layers`);
  }
  const heads = head.metadata.get(`${arch}.attention.head_count`);
  if (heads !== undefined && heads.type !== "array" && Number(heads.value) <= 0) {
    refuse(`${arch}.attention.head_count`, heads, "must be above 0 heads");
  }
  checkWidth(head, arch);
  checkVocabulary(head);
  return { head, facts: factsOf(head) };
}

/** Architectures whose token embeddings are as wide as the model: not all are. */
const uniform = /^(llama|mistral3|qwen[23]\w*|gemma[23]?|phi3|olmo2|bert|nomic-bert)$/;

/** What the metadata says of the width must be what the tensors have: libllama's words are unclear. */
function checkWidth(head: GgufHead, arch: string): void {
  const key = `${arch}.embedding_length`;
  const embeddings = head.tensors.find(({ name }) => name === "token_embd.weight");
  const width = head.metadata.get(key);
  if (!uniform.test(arch) || embeddings === undefined || width === undefined) return;
  if (whole(head, key) === embeddings.shape[0]) return;
  refuse(
    key,
    width,
    `is ${width.value}, but tensor token_embd.weight is ${embeddings.shape[0]} wide`,
  );
}

/** Arrays of a vocabulary must have the right types and one length. */
function checkVocabulary(head: GgufHead): void {
  const tokens = head.metadata.get("tokenizer.ggml.tokens");
  if (tokens === undefined) return;
  if (tokens.type !== "array" || tokens.value.type !== "string") {
    refuse("tokenizer.ggml.tokens", tokens, "must be an array of strings");
  }
  const wanted = { scores: "float32", token_type: "int32" } as const;
  for (const [name, type] of Object.entries(wanted)) {
    const key = `tokenizer.ggml.${name}`;
    const value = head.metadata.get(key);
    if (value === undefined) continue;
    const right =
      value.type === "array" &&
      (value.value.type === type || (type === "int32" && value.value.type === "uint32"));
    if (!right) refuse(key, value, `must be an array of ${type}`);
    if (value.value.length < tokens.value.length) {
      refuse(key, value, `has ${value.value.length} entries for ${tokens.value.length} tokens`);
    }
  }
  const merges = head.metadata.get("tokenizer.ggml.merges");
  if (merges !== undefined && (merges.type !== "array" || merges.value.type !== "string")) {
    refuse("tokenizer.ggml.merges", merges, "must be an array of strings");
  }
}
