/** Quantising the model layer (create.md 7): which types there are, which sources are taken. */
import { StoreError } from "../../errors.ts";
import { parseDigest } from "../digest.ts";
import { checkGguf } from "../gguf/check.ts";
import type { GgufFacts } from "../gguf/facts.ts";
import { fileTypes } from "../gguf/types.ts";
import { mediaTypes } from "../media-types.ts";
import type { Store } from "../store.ts";
import { describe, factsOfLayer, madeBlob, modelLayer, type Parts } from "./parts.ts";
import type { CreateProgress, CreateTools } from "./request.ts";

/** Formats that count as not quantised. */
const plainTypes = ["F32", "F16", "BF16"];

/** Types that llama.cpp makes without an importance matrix, in the order in which errors list them. */
export const quantizeTypes: readonly string[] = [
  ...plainTypes,
  ...["Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0", "Q4_1", "Q4_K_S", "Q4_K_M"],
  ...["Q5_0", "Q5_1", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0"],
  ...["IQ3_S", "IQ3_M", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4_MOE", "Q1_0", "Q2_0"],
];

/** Short names of the usual mixture of a width. */
const aliases: Readonly<Record<string, string>> = {
  Q3_K: "Q3_K_M",
  Q4_K: "Q4_K_M",
  Q5_K: "Q5_K_M",
};

/** Tensors that lose too much in four bits, by architecture: names with the type that they get. */
const finer: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  deepseek2: {
    attn_k_b: "q8_0",
    attn_q_a: "q8_0",
    attn_q_b: "q8_0",
    attn_v_b: "q8_0",
    attn_kv_a_mqa: "q8_0",
  },
  gemma3n: { per_layer_token_embd: "f16" },
  glm4: { token_embd: "f16", output: "f16" },
  glmocr: { token_embd: "f16", output: "f16" },
  qwen35: { "nextn.eh_proj": "q8_0" },
};

/** @throws StoreError for types that there are not, in the words of the reference */
function quantizeTarget(type: string): string {
  const wanted = type.toUpperCase();
  const target = aliases[wanted] ?? wanted;
  if (quantizeTypes.includes(target)) return target;
  throw new StoreError(
    `unsupported quantization type ${wanted} - supported types are ${quantizeTypes.join(", ")}`,
  );
}

/** Exact names, as llama.cpp's patterns want them. */
function overridesFor(architecture: string, target: string): string {
  if (!target.startsWith("Q4_K")) return "";
  return Object.entries(finer[architecture] ?? {})
    .map(([name, type]) => `(^|\\.)${name.replace(".", "\\.")}\\.weight$=${type}`)
    .join(";");
}

/** Whether a file is not quantised yet. */
export function isPlain(facts: GgufFacts): boolean {
  return facts.fileType === "unknown" ? facts.unquantized : plainTypes.includes(facts.fileType);
}

/** @throws StoreError for sources that are quantised already */
function checkSource(facts: GgufFacts): void {
  if (!isPlain(facts)) {
    throw new StoreError("quantization is only supported for F16, BF16 and F32 models");
  }
}

/** Clients of the reference know this digest: they show a bar, and hash nothing. */
const progressDigest = "0000000000000000000";

/** Replaces the model layer by a quantised one; the same type again changes nothing. */
export async function* quantizeModel(
  store: Store,
  parts: Parts,
  wanted: string | undefined,
  tools: CreateTools,
): AsyncGenerator<CreateProgress> {
  // 8-bit sources were widened for the conversion only.
  const type = wanted || (parts.eightBit ? "Q8_0" : "");
  const layer = modelLayer(parts);
  if (type === "") return;
  const target = quantizeTarget(type);
  if (layer === undefined) throw new StoreError("quantize: there is no model layer");
  const facts = factsOfLayer(store, layer);
  checkSource(facts);
  if (facts.fileType === target) return;
  const fileType = Number(Object.entries(fileTypes).find(([, name]) => name === target)?.[0]);
  const input = store.blobPath(parseDigest(layer.digest));
  const source = facts.fileType === "unknown" ? "F32" : facts.fileType;
  const made = yield* madeBlob(
    store,
    tools,
    (output) => ({
      type: "quantize",
      input,
      output,
      fileType,
      overrides: overridesFor(facts.architecture, target),
    }),
    (completed, total) => ({
      status: `quantizing ${source} model to ${target}`,
      digest: progressDigest,
      total: layer.size,
      completed: total === 0 ? 0 : Math.round((layer.size * completed) / total),
    }),
  );
  parts.unverified.delete(layer.digest);
  parts.unverified.add(made.digest);
  if (made.created) parts.created.add(made.digest);
  const { digest, size } = made;
  parts.layers[parts.layers.indexOf(layer)] = { mediaType: mediaTypes.model, digest, size };
  parts.config = describe(parts.config, factsOfLayer(store, { ...layer, digest, size }));
}

/** Looks at files that were made here, before a manifest names them. */
export function* verifyMade(store: Store, parts: Parts): Generator<CreateProgress> {
  for (const digest of parts.unverified) {
    yield { status: "verifying conversion" };
    checkGguf(store.blobPath(parseDigest(digest)));
  }
}
