/** How a model is loaded for a request: options, variables and the file's own facts (scheduler.md 5, 6). */
import { totalmem } from "node:os";
import type { Config } from "../../config/env.ts";
import type { LoadSpec } from "../../engine/engine.ts";
import { ModelLoadError } from "../../errors.ts";
import type { StoredModel } from "../../model/model.ts";
import type { ResolvedOptions } from "../../model/options.ts";

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

/** As many slots as a quarter of the memory holds caches for; one for embedding models. */
function slotsFor(model: StoredModel, context: number, config: Config): number {
  if (model.gguf?.facts.pooled) return 1;
  if (config.parallel > 0) return Math.min(config.parallel, 64);
  const perSlot = (model.gguf?.facts.kvBytesPerToken ?? 0) * context;
  const budget = totalmem() / 4;
  let slots = automaticSlots;
  while (slots > 1 && perSlot * slots > budget) slots--;
  return slots;
}

/** @throws ModelLoadError for models that hutch cannot run */
export function wantedLoad(
  model: StoredModel,
  resolved: ResolvedOptions,
  config: Config,
): WantedLoad {
  if (model.ggufPath === undefined) {
    throw new ModelLoadError(
      `${model.shortName} has the format "${model.config.model_format}"; only GGUF models can be run`,
    );
  }
  const { options, given } = resolved;
  const context = contextLength(model, resolved, config);
  const pooled = model.gguf?.facts.pooled === true;
  const batch = given.has("num_batch") ? options.num_batch : pooled ? Math.min(2048, context) : 512;
  const explicit = new Set<keyof LoadSpec>();
  if (given.has("num_ctx")) explicit.add("contextLength");
  if (given.has("num_batch")) explicit.add("batchSize");
  if (given.has("num_gpu") && options.num_gpu >= 0) explicit.add("gpuLayers");
  if (given.has("num_thread")) explicit.add("threads");
  if (given.has("main_gpu")) explicit.add("mainGpu");
  if (given.has("use_mmap")) explicit.add("mmap");
  const flash = config.flashAttention;
  return {
    explicit,
    spec: {
      path: model.ggufPath,
      adapters: model.adapterPaths.map((path) => ({ path, scale: 1 })),
      projectors: model.projectorPaths,
      contextLength: context,
      slots: slotsFor(model, context, config),
      batchSize: Math.max(1, Math.min(batch, 4096)),
      threads: Math.max(0, options.num_thread),
      gpuLayers: options.num_gpu,
      ...(options.main_gpu === undefined ? {} : { mainGpu: options.main_gpu }),
      ...(options.use_mmap === undefined ? {} : { mmap: options.use_mmap }),
      kvCacheType: config.kvCacheType,
      flashAttention: flash === undefined ? "auto" : flash ? "on" : "off",
      ...(config.deterministic ? { deterministic: true } : {}),
    },
  };
}
