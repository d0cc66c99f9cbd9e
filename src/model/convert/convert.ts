/**
 * A model of safetensors files as one GGUF (create.md 5): keys from config.json, the vocabulary from
 * the tokenizer's files, tensors renamed and changed in number format while they are copied. The file
 * has the order that llama.cpp's quantize tool gives, so that equal inputs give equal digests.
 */
import { ConvertError } from "../../errors.ts";
import { byPlace } from "../gguf/merge.ts";
import { type ByteSink, type WriteTensor, writeGguf } from "../gguf/writer.ts";
import { type Architecture, renamed, type SourceModel } from "./architecture.ts";
import type { Config } from "./config.ts";
import { type Metadata, text, tokenizerMetadata, under } from "./metadata.ts";
import { type Planned, toWriteTensor } from "./planned.ts";
import type { SourceFiles } from "./source.ts";
import { inOrder, readSource } from "./source-model.ts";
import { sentencePieceVocabulary } from "./tokenizer/sentencepiece.ts";
import { specialTokens } from "./tokenizer/special-tokens.ts";
import { tokenizerJsonVocabulary } from "./tokenizer/tokenizer-json.ts";
import { padVocabulary, type Vocabulary } from "./tokenizer/vocabulary.ts";
import { sees } from "./vision.ts";

export interface Conversion {
  /** `general.architecture`. */
  readonly architecture: string;
  /** The source had 8-bit floats: in 16 bits it is twice as large as it need be. */
  readonly eightBit: boolean;
  /** The source has a part that sees, which `convertProjector` makes a file of. */
  readonly sees: boolean;
  readonly warnings: readonly string[];
}

/**
 * Writes the GGUF.
 * @param paths name in the model's folder → absolute path
 * @throws ConvertError before anything is written, unless a file changes meanwhile
 */
export function convertModel(paths: Readonly<Record<string, string>>, sink: ByteSink): Conversion {
  const { recipe, model, eightBit } = readSource(paths);
  const { config, files } = model;
  const warnings = leftOut(recipe, config);
  const architecture = typeof recipe.name === "string" ? recipe.name : recipe.name(config);
  const tensors = planTensors(recipe, model);
  const vocabulary = readVocabulary(files, (warning) => warnings.push(warning));
  padVocabulary(vocabulary, config.maybeWhole("vocab_size") ?? 0);
  checkEmbeddings(tensors, vocabulary);
  const metadata: Metadata = {
    "general.architecture": text(architecture),
    source_quantization: eightBit ? text("hf_fp8") : undefined,
    ...under(architecture, recipe.metadata(model)),
    ...tokenizerMetadata(vocabulary, specialTokens(files, vocabulary)),
    ...under("tokenizer.ggml", recipe.tokenizer?.(vocabulary, model) ?? {}),
  };
  writeGguf(sink, { metadata: inOrder(metadata, fileTypeOf(tensors)), tensors });
  return { architecture, eightBit, warnings, sees: sees(recipe.projector, model.weights.keys()) };
}

/** Names that a GGUF may hold: what is left of a source's spelling was not understood. */
const understood =
  /^(blk\.\d+\.(shortconv\.)?[a-z0-9_]+|token_embd|token_embd_norm|token_types|position_embd|output|output_norm|rope_freqs|dense_[23]|per_layer_[a-z_]+|altup_(proj|unembd_proj)|rope_factors_(long|short))\.(weight|bias|scale)$|^blk\.\d+\.[a-z0-9_]+$/;

/** What of a model is not converted. */
function leftOut({ projector }: Architecture, config: Config): string[] {
  const parts = projector === undefined ? ["vision_config", "audio_config"] : ["audio_config"];
  return parts.some((part) => config.has(part))
    ? ["only the part that writes is converted: what this model hears or sees is left out"]
    : [];
}

function planTensors(recipe: Architecture, model: SourceModel): WriteTensor[] {
  const planned: Planned[] = [...(recipe.extra?.(model) ?? [])];
  for (const [source, weights] of model.weights) {
    if (recipe.skip?.test(source) || recipe.projector?.parts.test(source)) continue;
    const name = renamed(source, recipe.names);
    if (isForesight(name, model.config)) continue;
    planned.push(...(recipe.plan?.(name, weights, model) ?? [{ name, weights }]));
  }
  const seen = new Set<string>();
  for (const { name, weights } of planned) {
    if (!understood.test(name)) {
      throw new ConvertError(`tensor "${weights.name}" is not known in this architecture`);
    }
    if (seen.has(name)) {
      throw new ConvertError(`duplicate tensor name '${name}' was found for this model`);
    }
    seen.add(name);
  }
  checkBlocks(seen, model.config);
  return planned.map(toWriteTensor).sort(byPlace);
}

/** Layers behind the last one that predict further tokens (MTP): the model runs without them. */
function isForesight(name: string, config: Config): boolean {
  const block = /^blk\.(\d+)\./.exec(name)?.[1];
  return (
    block !== undefined &&
    (config.maybeCount("num_nextn_predict_layers") ?? 0) > 0 &&
    Number(block) >= config.whole("num_hidden_layers")
  );
}

/** Every layer that config.json counts must have tensors: a model with holes loads nowhere. */
function checkBlocks(names: ReadonlySet<string>, config: Config): void {
  const present = new Set([...names].map((name) => /^blk\.(\d+)\./.exec(name)?.[1] ?? ""));
  const count = config.whole("num_hidden_layers", "n_layer");
  if (count > 4096) throw new ConvertError(`config.json: num_hidden_layers ${count} is too many`);
  for (let block = 0; block < count; block++) {
    if (!present.has(String(block))) {
      throw new ConvertError(`no tensors of layer ${block}: config.json counts ${count} layers`);
    }
  }
}

function readVocabulary(files: SourceFiles, warn: (text: string) => void): Vocabulary {
  if (files.has("tokenizer.model")) return sentencePieceVocabulary(files);
  if (files.has("tokenizer.json")) {
    return tokenizerJsonVocabulary(files.object("tokenizer.json"), warn);
  }
  throw new ConvertError("unknown tokenizer format: neither tokenizer.model nor tokenizer.json");
}

/** libllama refuses a model whose embeddings are not as many as its tokens. */
function checkEmbeddings(tensors: readonly WriteTensor[], { tokens }: Vocabulary): void {
  const rows = tensors.find(({ name }) => name === "token_embd.weight")?.shape[1];
  if (rows === undefined) throw new ConvertError("the model has no token embeddings");
  if (rows !== tokens.length) {
    throw new ConvertError(
      `the tokenizer has ${tokens.length} tokens, the model ${rows} embeddings`,
    );
  }
}

/** Number of MXFP4 blocks as a type of tensors, and of files that have them. */
const mxfp4 = { tensor: 39, file: 38 };

/**
 * The reference says F16 for all that it converts, of BF16 sources too (create.md 5.5). Weights that came
 * in blocks cannot be quantised again, which the file type is asked for.
 */
function fileTypeOf(tensors: readonly WriteTensor[]): number {
  return tensors.some(({ type }) => type === mxfp4.tensor) ? mxfp4.file : 1;
}
