/** How a model is loaded for a request: options, variables and the file's own facts (scheduler.md 5, 6). */
import { availableParallelism } from "node:os";
import type { Config } from "../../config/env.ts";
import { growsInPlace, totalMemory } from "../../config/machine.ts";
import type { LoadSpec } from "../../engine/engine.ts";
import { ModelLoadError } from "../../errors.ts";
import { type BillFiles, memoryBill, slotsThatFit } from "../../model/memory-bill.ts";
import type { StoredModel } from "../../model/model.ts";
import type { ResolvedOptions } from "../../model/options.ts";
import type { MemoryNeed } from "../../scheduler/scheduler.ts";
import { fewSlots } from "../../slots.ts";

const defaultContext = 4096;
const leastContext = 4;
/** Vision models need room for their images. */
const leastVisionContext = 2048;
/** Batching still pays at so many rows (bench/README.md). */
const automaticSlots = 32;

export interface WantedLoad {
  readonly spec: LoadSpec;
  /** What the request, the model or a variable chose. */
  readonly explicit: ReadonlySet<keyof LoadSpec>;
  /** What the model takes when it is loaded in a way. */
  readonly need: (spec: LoadSpec) => MemoryNeed;
}

function contextLength(model: StoredModel, resolved: ResolvedOptions, config: Config): number {
  const asked = Math.max(0, resolved.options.num_ctx);
  const wanted = asked || config.contextLength || defaultContext;
  const facts = model.gguf?.facts;
  const vision = facts?.vision === true || model.projectorPaths.length > 0;
  const least = vision ? leastVisionContext : leastContext;
  const trained = facts?.contextLength ?? 0;
  const floored = Math.max(wanted, least);
  return trained > 0 ? Math.min(floored, trained) : floored;
}

/**
 * As many slots as half of the memory holds with everything else that the model takes, so that there is
 * room for another model; a few when all of it does. One for embedding models.
 */
function slotsFor(files: BillFiles, terms: Omit<LoadSpec, "slots">, config: Config): number {
  if (files.model.pooled) return 1;
  if (config.parallel > 0) return Math.min(config.parallel, 64);
  // What is evaluated one by one gains nothing by more.
  const most = config.deterministic ? fewSlots : automaticSlots;
  const limit = config.memoryBytes || totalMemory();
  const half = slotsThatFit(files, terms, most, limit / 2);
  return half > fewSlots ? half : slotsThatFit(files, terms, fewSlots, limit);
}

/** The draft model that is loaded, unless the options leave it no use. */
function draftOf(model: StoredModel, { options }: ResolvedOptions, config: Config) {
  const { draft = "model", draft_num_predict: most } = options;
  const used = draft === "model" && most > 0 && !config.deterministic;
  return used && model.draftPath !== undefined ? { draft: model.draftPath } : {};
}

/** Options that decide how a model is loaded. */
const loadOptions = [
  "num_ctx",
  "num_batch",
  "num_gpu",
  "main_gpu",
  "use_mmap",
  "num_thread",
  "draft",
  "draft_num_predict",
] as const;

/** Answers for a model and a configuration, by the options: few are asked for, again and again. */
interface Answers {
  readonly config: Config;
  readonly loads: Map<string, WantedLoad>;
}

const answers = new WeakMap<StoredModel, Answers>();
const mostLoads = 64;

/** @throws ModelLoadError for models that hutch cannot run */
export function wantedLoad(
  model: StoredModel,
  resolved: ResolvedOptions,
  config: Config,
): WantedLoad {
  let known = answers.get(model);
  if (known?.config !== config) known = { config, loads: new Map() };
  answers.set(model, known);
  let key = "";
  for (const name of loadOptions) {
    key += `${resolved.options[name]}${resolved.given.has(name) ? "!" : ""} `;
  }
  const answer = known.loads.get(key) ?? decideLoad(model, resolved, config);
  if (known.loads.size >= mostLoads) known.loads.clear();
  known.loads.set(key, answer);
  return answer;
}

function decideLoad(model: StoredModel, resolved: ResolvedOptions, config: Config): WantedLoad {
  if (model.ggufPath === undefined || model.gguf === undefined) {
    throw new ModelLoadError(
      `${model.shortName} has the format "${model.config.model_format}"; only GGUF models can be run`,
    );
  }
  const { options, given } = resolved;
  const context = contextLength(model, resolved, config);
  const pooled = model.gguf.facts.pooled;
  const batch = given.has("num_batch") ? options.num_batch : pooled ? Math.min(2048, context) : 512;
  const explicit = new Set<keyof LoadSpec>();
  if (given.has("num_ctx")) explicit.add("contextLength");
  if (given.has("num_batch")) explicit.add("batchSize");
  if (given.has("num_gpu") && options.num_gpu >= 0) explicit.add("gpuLayers");
  if (given.has("num_thread")) explicit.add("threads");
  if (given.has("main_gpu")) explicit.add("mainGpu");
  if (given.has("use_mmap")) explicit.add("mmap");
  if (config.parallel > 0) explicit.add("slots");
  const flash = config.flashAttention;
  const terms: Omit<LoadSpec, "slots"> = {
    path: model.ggufPath,
    adapters: model.adapterPaths.map((path) => ({ path, scale: 1 })),
    projectors: model.projectorPaths,
    contextLength: context,
    batchSize: Math.max(1, Math.min(batch, 4096)),
    // Threads wait for each other spinning: with more than there are cores a step takes seconds.
    threads: Math.max(0, Math.min(options.num_thread, availableParallelism())),
    gpuLayers: options.num_gpu,
    ...(options.main_gpu === undefined ? {} : { mainGpu: options.main_gpu }),
    ...(options.use_mmap === undefined ? {} : { mmap: options.use_mmap }),
    kvCacheType: config.kvCacheType,
    flashAttention: flash === undefined ? "auto" : flash ? "on" : "off",
    ...(config.deterministic ? { deterministic: true } : {}),
    ...(growsInPlace(options.num_gpu, config.libraryFolder) ? { inPlace: true } : {}),
    ...draftOf(model, resolved, config),
  };
  const files: BillFiles = {
    model: model.gguf.facts,
    adapters: model.adapterFacts,
    projectors: model.projectorFacts,
    draft: model.draftFacts,
  };
  const spec = { ...terms, slots: slotsFor(files, terms, config) };
  return { explicit, spec, need: (other) => memoryBill(files, other) };
}
