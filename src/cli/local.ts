/**
 * Puts hutch together: store, engine, scheduler, application. Used by `serve`, and by commands that
 * work without a server: there is one behaviour, whoever asks.
 */
import { join } from "node:path";
import { guideAsset } from "../../ffi/assets.ts";
import { servingCompilers, usualCompilers } from "../config/compilers.ts";
import { type Config, childEnvironment } from "../config/env.ts";
import { machineMemory } from "../config/machine.ts";
import type { Engine } from "../engine/engine.ts";
import { ProcessEngine } from "../engine/process.ts";
import { UnsupportedError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { JobRunner } from "../model/jobs.ts";
import { createTransfers } from "../model/registry/transfers.ts";
import { RowCache } from "../model/row-cache.ts";
import { Store } from "../model/store.ts";
import { createScheduler } from "../scheduler/pool.ts";
import { type App, createApp } from "../server/app.ts";
import type { FakeModels, ServerDeps } from "../server/deps.ts";
import { createMetrics, poolEvents } from "../server/operations/metrics.ts";
import { createJobRunner } from "../worker/process.ts";

export interface Local extends AsyncDisposable {
  readonly app: App;
  readonly deps: ServerDeps;
}

/** How this executable starts itself: compiled, or from source by Bun. */
function selfCommand(hidden: string): string[] {
  const compiled = import.meta.url.includes("$bunfs") || import.meta.url.includes("~BUN");
  const main = new URL("../main.ts", import.meta.url).pathname;
  return compiled ? [process.execPath, hidden] : [process.execPath, main, hidden];
}

/** What children of this executable are started with. */
function childOptions(config: Config, logger: Logger) {
  return {
    env: childEnvironment(),
    libraries: {
      cacheFolder: config.cacheFolder,
      tempFolder: config.tempFolder,
      libraryFolder: config.libraryFolder,
    },
    prefixCache:
      config.cacheFolder === undefined || config.prefixCacheBytes === 0
        ? undefined
        : { folder: join(config.cacheFolder, "prefixes"), limitBytes: config.prefixCacheBytes },
    stallMs: Number(config.stallTimeoutNs) / 1e6,
    loadStallMs: Number(config.loadTimeoutNs) / 1e6,
    logger: logger.area("engine"),
  };
}

/** The engine on libllama, its children started from this executable. */
export function createEngine(config: Config, logger: Logger): ProcessEngine {
  const options = childOptions(config, logger);
  const kernels = { HUTCH_KERNELS: config.kernels ? "1" : "0" };
  const env = { ...servingCompilers, ...options.env, ...kernels };
  return new ProcessEngine({ ...options, env, command: selfCommand("runner") });
}

/** What converts and quantises: in children, whose work is their own JavaScript as well. */
function createJobs(config: Config, logger: Logger): JobRunner {
  const options = childOptions(config, logger);
  const env = usualCompilers(options.env);
  return createJobRunner({ ...options, env, command: selfCommand("worker") });
}

/** An engine without weights, and the models that it answers for. */
export interface Fake {
  readonly engine: Engine;
  readonly models: (store: Store) => FakeModels;
}

// biome-ignore lint/correctness/useYield: it only refuses
const noJobs: JobRunner = async function* () {
  throw new UnsupportedError("a fake server converts and quantizes nothing");
};

/** A fake never asks the network. */
const noNetwork = {
  stallMs: 0,
  send: () => Promise.reject(new UnsupportedError("a fake server transfers nothing")),
};

/**
 * @param options.guardHosts refuse foreign host names: for listeners on a loopback address
 * @param options.fake serve without native code
 */
export function createLocal(
  config: Config,
  logger: Logger,
  options: { guardHosts: boolean; fake?: Fake },
): Local {
  const { fake } = options;
  const engine = fake?.engine ?? createEngine(config, logger);
  const metrics = createMetrics(() => scheduler.running());
  const scheduler = createScheduler({
    engine,
    maxLoadedModels: config.maxLoadedModels,
    maxQueue: config.maxQueue,
    memory: () =>
      config.memoryBytes > 0 || fake !== undefined
        ? { kind: "promised", bytes: config.memoryBytes || Number.MAX_SAFE_INTEGER }
        : { kind: "machine", ...machineMemory() },
    keepAliveNs: config.keepAliveNs,
    logger,
    events: poolEvents(metrics),
  });
  const store = new Store(config.modelsFolder, { noPrune: config.noPrune, logger });
  const transfers = createTransfers(store, config, logger);
  const deps: ServerDeps = {
    store,
    transfers: fake === undefined ? transfers : { ...transfers, http: noNetwork },
    scheduler,
    rows: new RowCache(
      config.cacheFolder === undefined ? undefined : join(config.cacheFolder, "models.json"),
    ),
    jobs: fake === undefined ? createJobs(config, logger) : noJobs,
    config,
    logger: logger.area("server"),
    metrics,
    guide: fake === undefined ? guideAsset() : undefined,
    ...(fake === undefined ? {} : { fake: fake.models(store) }),
  };
  return {
    app: createApp(deps, options),
    deps,
    async [Symbol.asyncDispose]() {
      await scheduler[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}
