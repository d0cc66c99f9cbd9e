/**
 * Puts hutch together: store, engine, scheduler, application. Used by `serve`, and by commands that
 * work without a server: there is one behaviour, whoever asks.
 */
import { join } from "node:path";
import { guideAsset } from "../../ffi/assets.ts";
import { type Config, childEnvironment } from "../config/env.ts";
import { machineMemory } from "../config/machine.ts";
import { ProcessEngine } from "../engine/process.ts";
import type { Logger } from "../logger.ts";
import { createTransfers } from "../model/registry/transfers.ts";
import { RowCache } from "../model/row-cache.ts";
import { Store } from "../model/store.ts";
import { createScheduler } from "../scheduler/pool.ts";
import { type App, createApp } from "../server/app.ts";
import type { ServerDeps } from "../server/deps.ts";
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
  return new ProcessEngine({ ...childOptions(config, logger), command: selfCommand("runner") });
}

/** @param guardHosts refuse foreign host names: for listeners on a loopback address */
export function createLocal(
  config: Config,
  logger: Logger,
  options: { guardHosts: boolean },
): Local {
  const engine = createEngine(config, logger);
  const metrics = createMetrics(() => scheduler.running());
  const scheduler = createScheduler({
    engine,
    maxLoadedModels: config.maxLoadedModels,
    maxQueue: config.maxQueue,
    memory: () =>
      config.memoryBytes > 0
        ? { kind: "promised", bytes: config.memoryBytes }
        : { kind: "machine", ...machineMemory() },
    keepAliveNs: config.keepAliveNs,
    logger,
    events: poolEvents(metrics),
  });
  const store = new Store(config.modelsFolder, { noPrune: config.noPrune, logger });
  const deps: ServerDeps = {
    store,
    transfers: createTransfers(store, config, logger),
    scheduler,
    rows: new RowCache(
      config.cacheFolder === undefined ? undefined : join(config.cacheFolder, "models.json"),
    ),
    jobs: createJobRunner({
      ...childOptions(config, logger),
      command: selfCommand("worker"),
    }),
    config,
    logger: logger.area("server"),
    metrics,
    guide: guideAsset(),
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
