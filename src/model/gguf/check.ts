/**
 * Refuses GGUFs that native code must not see: libllama aborts the process, or writes where it should
 * not, on some of these (security.md). Called when a model is created and before each load.
 */
import { GgufError } from "../../errors.ts";
import { Cursor } from "./cursor.ts";
import { factsOf, type GgufFacts, whole } from "./facts.ts";
import { type GgufArray, type GgufHead, type GgufValue, readGguf } from "./reader.ts";

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
  checkByteTokens(head, tokens.value);
  const merges = head.metadata.get("tokenizer.ggml.merges");
  if (merges !== undefined && (merges.type !== "array" || merges.value.type !== "string")) {
    refuse("tokenizer.ggml.merges", merges, "must be an array of strings");
  }
}

/** Type of tokens that stand for one byte (llama.h). */
const byteType = 6;

/**
 * Tokens of single bytes must read `<0x00>` to `<0xFF>`: libllama computes the byte from the text
 * without a check. They are among the first of a vocabulary, so most of it is not read.
 */
function checkByteTokens(head: GgufHead, tokens: GgufArray): void {
  const types = head.metadata.get("tokenizer.ggml.token_type");
  if (types?.type !== "array") return;
  const cursor = new Cursor(head.path);
  try {
    cursor.offset = types.value.offset;
    const bytes = cursor.bytes(types.value.length * 4, "tokenizer.ggml.token_type");
    const kinds = new Int32Array(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
    );
    const last = kinds.lastIndexOf(byteType);
    cursor.offset = tokens.offset;
    for (let id = 0; id <= Math.min(last, tokens.length - 1); id++) {
      const at = cursor.offset;
      if (kinds[id] !== byteType) cursor.skip(cursor.stringLength("token"), "token");
      else {
        const text = cursor.string("token", false);
        if (!/^<0x[0-9A-Fa-f]{2}>$/.test(text)) {
          throw new GgufError(
            `tokenizer.ggml.tokens at byte ${at}: token ${id} is a byte token, but reads "${text.slice(0, 40)}"`,
            "tokenizer.ggml.tokens",
            at,
          );
        }
      }
    }
  } finally {
    cursor.close();
  }
}
