/**
 * What a model takes in memory, told before it is loaded: from the heads of its files and the way it
 * is loaded. Pure. The figures for buffers were found by comparing with libllama's own account; a
 * contract test holds the two together.
 */
import { cellsOf, slotsAtOnce, slotsBefore } from "../slots.ts";
import type { GgufFacts } from "./gguf/facts.ts";
import { tensorTypes } from "./gguf/types.ts";

/** What a load spec says that matters here. */
export interface BillTerms {
  /** Tokens of one slot's context. */
  readonly contextLength: number;
  readonly slots: number;
  readonly batchSize: number;
  /** As ggml spells it, lower case. */
  readonly kvCacheType: string;
  /** File of a draft model. */
  readonly draft?: string;
  /** All slots are there from the beginning. */
  readonly deterministic?: boolean;
  /** Cells are set aside at the load and taken when tokens come to them: no second context. */
  readonly inPlace?: boolean;
}

export interface BillFiles {
  readonly model: GgufFacts;
  readonly adapters: readonly GgufFacts[];
  readonly projectors: readonly GgufFacts[];
  /** Of the draft model, when there is one. */
  readonly draft?: GgufFacts | undefined;
}

export interface BillLine {
  readonly what: "weights" | "adapters" | "projector" | "draft" | "kv cache" | "buffers" | "growth";
  readonly bytes: number;
}

export interface MemoryBill {
  /** Only what is not nothing. */
  readonly lines: readonly BillLine[];
  /** What the model holds with all its slots. */
  readonly held: number;
  /** The most it takes for a moment, >= `held`: this is what must fit. */
  readonly peak: number;
}

/** llama.h `LLAMA_POOLING_TYPE_LAST`. */
const lastTokenPooling = 3;

/** Sequences of a context for embeddings (ffi/model.cpp): a step has at least so many rows. */
const embeddingSequences = 64;

/** Projectors whose images are decoded in one step, and the most rows of such a step (ffi/model.cpp). */
const atOnceProjectors = new Set(["gemma3", "gemma4v", "gemma4uv", "deepseek4v"]);
const imageRows = 2048;

/** Bytes of an element of a cache type; of unknown ones those of f16. */
function elementBytes(kind: string): number {
  const name = kind.toUpperCase();
  const found = Object.values(tensorTypes).find((type) => type.name === name);
  return found === undefined ? 2 : found.bytes / found.block;
}

function sumOf(files: readonly GgufFacts[]): number {
  return files.reduce((sum, { tensorBytes }) => sum + tensorBytes, 0);
}

interface Sizes {
  /** Of the largest step. */
  readonly rows: number;
  /** That one row looks at, at most. */
  readonly seen: number;
  /** Of all sequences. */
  readonly cells: number;
}

/** As ffi/model.cpp `fit_context` makes a context. */
function sizes({ model, projectors }: BillFiles, terms: BillTerms): Sizes {
  const { contextLength, slots } = terms;
  if (!model.pooled && model.causal) {
    const seen = cellsOf(contextLength);
    const atOnce = atOnceProjectors.has(projectors[0]?.projectorType ?? "");
    const image = atOnce ? Math.min(imageRows, contextLength) : 0;
    // libllama makes no step larger than the context of all slots.
    const rows = Math.min(Math.max(terms.batchSize, slots, image), contextLength * slots);
    return { rows, seen, cells: seen * slots };
  }
  const { poolingType = 0 } = model;
  const whole = !model.causal || (poolingType !== 0 && poolingType !== lastTokenPooling);
  const rows = Math.max(terms.batchSize, whole ? contextLength : 0);
  const cells = cellsOf(Math.max(contextLength, rows, embeddingSequences));
  return { rows, seen: cells, cells };
}

function cacheBytes(files: BillFiles, terms: BillTerms): number {
  const perCell = (files.model.kvBytesPerToken / 2) * elementBytes(terms.kvCacheType);
  return Math.ceil(perCell * sizes(files, terms).cells);
}

/** Scores of every row, its states on the way through the layers, and the mask of attention. */
function bufferBytes(files: BillFiles, terms: BillTerms): number {
  const { rows, seen } = sizes(files, terms);
  // Encoders have no scores; what counts there is their widest layer.
  const { causal, vocabularySize, embeddingLength } = files.model;
  const numbers = causal ? vocabularySize + 2 * embeddingLength : 8 * embeddingLength;
  return rows * (4 * numbers + 2 * seen);
}

/** Most tokens that a draft model reads in one step (ffi/draft.cpp). */
const draftRows = 128;

/** A draft model with a context for one sequence; it gives scores for one row of a step. */
function draftBytes({ draft }: BillFiles, terms: BillTerms): number {
  if (draft === undefined || terms.draft === undefined || terms.deterministic) return 0;
  const files = { model: draft, adapters: [], projectors: [] };
  const rows = Math.min(terms.batchSize, draftRows);
  const own = { ...terms, slots: 1, batchSize: rows };
  const scores = 4 * (rows - 1) * draft.vocabularySize;
  return draft.tensorBytes + cacheBytes(files, own) + bufferBytes(files, own) - scores;
}

/** What is there besides all slots while the last of them are added: the smaller context. */
function growthBytes(files: BillFiles, terms: BillTerms): number {
  const { slots, contextLength } = terms;
  if (slots === 1 || files.model.pooled || terms.deterministic) return 0;
  if (terms.inPlace && slotsAtOnce(contextLength, slots) === slots) return 0;
  const before = { ...terms, slots: slotsBefore(slots) };
  return cacheBytes(files, before) + bufferBytes(files, before);
}

/** The bill of a model that is loaded on these terms. */
export function memoryBill(files: BillFiles, terms: BillTerms): MemoryBill {
  const { model, adapters, projectors } = files;
  const lines: BillLine[] = [
    { what: "weights", bytes: model.tensorBytes },
    { what: "adapters", bytes: sumOf(adapters) },
    { what: "projector", bytes: sumOf(projectors.slice(0, 1)) },
    { what: "draft", bytes: draftBytes(files, terms) },
    { what: "kv cache", bytes: cacheBytes(files, terms) },
    { what: "buffers", bytes: bufferBytes(files, terms) },
    { what: "growth", bytes: growthBytes(files, terms) },
  ];
  const total = (all: readonly BillLine[]) => all.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    lines: lines.filter(({ bytes }) => bytes > 0),
    held: total(lines.filter(({ what }) => what !== "growth")),
    peak: total(lines),
  };
}

/**
 * The most slots, at most `wanted`, with which a model stays below `limit` bytes; 1 when not even that
 * fits, because whether it is loaded then is for others to decide.
 */
export function slotsThatFit(
  files: BillFiles,
  terms: Omit<BillTerms, "slots">,
  wanted: number,
  limit: number,
): number {
  let slots = wanted;
  while (slots > 1 && memoryBill(files, { ...terms, slots }).peak > limit) slots--;
  return slots;
}
