/**
 * What the scheduler decides, as pure functions: whether a loaded model can serve a request, how it is
 * loaded anew when it cannot, who has to leave, when an idle model expires (scheduler.md 3 to 5).
 * `pool.ts` acts on these answers.
 */
import type { LoadSpec } from "../engine/engine.ts";

/** Models on one machine when MAX_LOADED_MODELS says nothing (scheduler.md 4). */
const defaultMaxLoaded = 3;

/** Keep-alive is for ever from here on; Go's longest duration, about 292 years. */
const longestNs = 2n ** 63n - 1n;

/** What the policy needs to know of a loaded model. */
export interface LoadedState {
  readonly path: string;
  /** Requests that use it now. */
  readonly leases: number;
  /** Nanoseconds; negative = for ever. */
  readonly keepAliveNs: bigint;
}

/** How many models may be loaded; 0 = automatic. */
export function maxLoadedModels(configured: number): number {
  return configured > 0 ? configured : defaultMaxLoaded;
}

function sameFiles(
  a: readonly (string | { readonly path: string; readonly scale: number })[],
  b: readonly (string | { readonly path: string; readonly scale: number })[],
): boolean {
  if (a === b) return true;
  const key = (files: typeof a) =>
    files
      .map((file) => (typeof file === "string" ? file : `${file.scale} ${file.path}`))
      .join("\n");
  return key(a) === key(b);
}

/**
 * Whether a model loaded as `loaded` can serve a request that wants `wanted`. Values that the user
 * did not choose (`explicit`) never matter, and a smaller context is served by a larger one, so that
 * clients with different `num_ctx` do not make the model reload again and again.
 */
export function serves(
  loaded: LoadSpec,
  wanted: LoadSpec,
  explicit: ReadonlySet<keyof LoadSpec>,
): boolean {
  if (!sameFiles(loaded.adapters, wanted.adapters)) return false;
  if (!sameFiles(loaded.projectors, wanted.projectors)) return false;
  // A draft model that is not wanted does no harm.
  if (wanted.draft !== undefined && wanted.draft !== loaded.draft) return false;
  if (explicit.has("contextLength") && wanted.contextLength > loaded.contextLength) return false;
  const compared = ["batchSize", "threads", "gpuLayers", "mainGpu", "mmap"] as const;
  return compared.every((key) => !explicit.has(key) || wanted[key] === loaded[key]);
}

/**
 * How a model is loaded anew for a request that its present load cannot serve: what the request did
 * not choose stays as it is, so that two clients with unlike wishes end up with one load for both.
 */
export function reloadSpec(
  loaded: LoadSpec,
  wanted: LoadSpec,
  explicit: ReadonlySet<keyof LoadSpec>,
): LoadSpec {
  const mainGpu = explicit.has("mainGpu") ? wanted.mainGpu : loaded.mainGpu;
  const mmap = explicit.has("mmap") ? wanted.mmap : loaded.mmap;
  const draft = wanted.draft ?? loaded.draft;
  const { mainGpu: _gpu, mmap: _mmap, ...rest } = wanted;
  return {
    ...rest,
    contextLength: Math.max(loaded.contextLength, wanted.contextLength),
    batchSize: explicit.has("batchSize") ? wanted.batchSize : loaded.batchSize,
    threads: explicit.has("threads") ? wanted.threads : loaded.threads,
    gpuLayers: explicit.has("gpuLayers") ? wanted.gpuLayers : loaded.gpuLayers,
    ...(mainGpu === undefined ? {} : { mainGpu }),
    ...(mmap === undefined ? {} : { mmap }),
    ...(draft === undefined ? {} : { draft }),
  };
}

/**
 * Who leaves when there is no room: idle ones before busy ones, then the shortest keep-alive, then
 * the path. A busy one is not stopped but gets no new requests until it is idle.
 */
export function chooseVictim<T extends LoadedState>(loaded: readonly T[]): T | undefined {
  const duration = (state: LoadedState) => (state.keepAliveNs < 0n ? longestNs : state.keepAliveNs);
  return loaded.toSorted((a, b) => {
    if ((a.leases === 0) !== (b.leases === 0)) return a.leases === 0 ? -1 : 1;
    const [left, right] = [duration(a), duration(b)];
    if (left !== right) return left < right ? -1 : 1;
    return a.path < b.path ? -1 : 1;
  })[0];
}

/** When a model that is idle since `idleAt` (milliseconds since 1970) expires; Infinity = never. */
export function expiry(idleAt: number, keepAliveNs: bigint): number {
  if (keepAliveNs < 0n || keepAliveNs >= longestNs) return Number.POSITIVE_INFINITY;
  return idleAt + Number(keepAliveNs) / 1e6;
}
