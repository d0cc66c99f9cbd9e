/** What the routes need of the rest of hutch; composed in `cli/local.ts`. */
import type { Config } from "../config/env.ts";
import type { Logger } from "../logger.ts";
import type { GuideAsset } from "../model/guide.ts";
import type { JobRunner } from "../model/jobs.ts";
import type { ModelName } from "../model/name.ts";
import type { Transfers } from "../model/registry/transfers.ts";
import type { RowCache } from "../model/row-cache.ts";
import type { Store } from "../model/store.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { Metrics } from "./operations/metrics.ts";

/** Models that nobody has to make or fetch: those of `hutch serve --fake`. */
export interface FakeModels {
  /** Puts the model of a name into the store unless it is there. False: it is none of the fakes. */
  provide(name: ModelName): boolean;
}

export interface ServerDeps {
  readonly store: Store;
  /** Pulls and pushes of this process. */
  readonly transfers: Transfers;
  readonly scheduler: Scheduler;
  /** What lists say of models, remembered over restarts. */
  readonly rows: RowCache;
  /** Converts, merges and quantises model files. */
  readonly jobs: JobRunner;
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The embedded model, when there is one. */
  readonly guide: GuideAsset | undefined;
  /** Given where the engine is a fake. */
  readonly fake?: FakeModels;
}
