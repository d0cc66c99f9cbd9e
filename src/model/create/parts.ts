/** A model while it is being made. */
import { StoreError } from "../../errors.ts";
import { type Digest, parseDigest } from "../digest.ts";
import { type GgufFacts, readFacts } from "../gguf/facts.ts";
import type { JobResult, ModelJob } from "../jobs.ts";
import type { Layer, ModelConfig } from "../manifest.ts";
import { mediaTypes } from "../media-types.ts";
import type { Store } from "../store.ts";
import type { CreateProgress, CreateTools } from "./request.ts";

export interface Parts {
  layers: Layer[];
  config: ModelConfig;
  /** Parameters that are merged under the request's. */
  parameters: Readonly<Record<string, unknown>>;
  /** Name of a known template that was found in a GGUF. */
  detected?: string;
  /** Digests of layers that this request has added to the store. */
  readonly created: Set<string>;
  /** Files that were made here and must be looked at before they count. */
  readonly unverified: Set<string>;
  /** The source had 8-bit weights: it is quantised again unless the request says how. */
  eightBit: boolean;
}

const emptyConfig: ModelConfig = {
  model_format: "",
  model_family: "",
  model_families: null,
  model_type: "",
  file_type: "",
};

export function newParts(more: Partial<Parts> = {}): Parts {
  return {
    layers: [],
    config: emptyConfig,
    parameters: {},
    created: new Set(),
    unverified: new Set(),
    eightBit: false,
    ...more,
  };
}

/** @throws DigestFormatError, StoreError when the store lacks it */
export function requireBlob(store: Store, text: string): Digest {
  const digest = parseDigest(text);
  if (!store.hasBlob(digest)) {
    throw new StoreError(`open ${store.blobPath(digest)}: no such file or directory`);
  }
  return digest;
}

/** File name → path of its blob. @throws DigestFormatError, StoreError */
export function blobPaths(
  store: Store,
  files: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).map(([name, digest]) => [
      name,
      store.blobPath(requireBlob(store, digest)),
    ]),
  );
}

/** A layer for a blob that is there. @throws StoreError */
export function layerFor(store: Store, digest: Digest, mediaType: string, from?: string): Layer {
  const layer = store.layerOf(digest, mediaType, from);
  if (layer === undefined) throw new StoreError(`blob ${digest} vanished`);
  return layer;
}

/** The last model layer: the one that runs. */
export function modelLayer(parts: Parts): Layer | undefined {
  return parts.layers.findLast(({ mediaType }) => mediaType === mediaTypes.model);
}

export function factsOfLayer(store: Store, layer: Layer): GgufFacts {
  return readFacts(store.blobPath(parseDigest(layer.digest))).facts;
}

/** What a configuration says of its model layer (create.md 8). */
export function describe(config: ModelConfig, facts: GgufFacts): ModelConfig {
  return {
    ...config,
    model_format: "gguf",
    model_family: facts.architecture,
    model_type: facts.parameterSize,
    // File type 0 counts as absent in Ollama's configurations; digests depend on it.
    file_type: facts.fileType === "F32" ? "unknown" : facts.fileType,
  };
}

/**
 * Has a job write a new blob. Nothing stays in the store when it fails or the client leaves.
 * @param line makes a status line of the job's progress
 */
export async function* madeBlob(
  store: Store,
  tools: CreateTools,
  job: (output: string) => ModelJob,
  line: (completed: number, total: number) => CreateProgress | undefined = () => undefined,
): AsyncGenerator<CreateProgress, JobResult & { readonly created: boolean }> {
  using pending = store.pendingBlob();
  const work = tools.jobs(job(pending.path), tools.signal);
  try {
    let step = await work.next();
    while (!step.done) {
      const status = line(step.value.completed, step.value.total);
      if (status !== undefined) yield status;
      step = await work.next();
    }
    for (const warning of step.value.warnings) tools.logger.warn(warning);
    tools.signal.throwIfAborted();
    return { ...step.value, created: pending.keep(step.value.digest) };
  } finally {
    // Only matters when the caller stopped listening: the job must not go on for nobody.
    await work.return(undefined as never);
  }
}
