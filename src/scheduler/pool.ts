/**
 * Over 400 lines because every rule reads and changes one state, which models are loaded.
 * The scheduler: one loaded model per model file, a queue for requests whose model is not loaded, one
 * load at a time (scheduler.md 1 to 4, 9). A request whose model is loaded goes past the queue. What
 * is decided stands in `policy.ts`; this file acts. Single-threaded: state changes only between awaits.
 */
import type { Engine, LoadedModel, LoadSpec } from "../engine/engine.ts";
import { BusyError, CanceledError, errorMessage, OutOfMemoryError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { type Clock, systemClock } from "./clock.ts";
import { HeldLease } from "./lease.ts";
import { admit, type MemoryLimit, refusal } from "./memory.ts";
import { chooseVictim, maxLoadedModels, reloadSpec, serves } from "./policy.ts";
import { Runner, type RunnerLease } from "./runner.ts";
import type { AcquireRequest, Lease, LoadingModel, RunningModel, Scheduler } from "./scheduler.ts";

export interface PoolOptions {
  readonly engine: Engine;
  /** Most models loaded at once; 0 = automatic. */
  readonly maxLoadedModels: number;
  /** Most requests that wait for a load, the one being served not counted. */
  readonly maxQueue: number;
  /** Keep-alive of a model whose requests never named one, nanoseconds. */
  readonly keepAliveNs: bigint;
  /** What loaded models may take, as it is at the moment. */
  readonly memory: () => MemoryLimit;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly events?: PoolEvents;
}

/** What happens to models, for whoever counts it. */
export interface PoolEvents {
  loaded(name: string, seconds: number): void;
  unloaded(name: string, reason: UnloadReason): void;
}

export type UnloadReason = "expired" | "evicted" | "ended";

/** A request that waits for its model. */
interface Pending {
  readonly request: AcquireRequest;
  /** Answers the request once; later calls do nothing. A model is leased in the same moment. */
  readonly settle: (outcome: Runner | Error) => void;
}

/** The request at the head of the queue, being provided with a model. */
interface Job {
  pending: Pending;
  readonly abort: AbortController;
  /** What is being loaded, while it is. */
  loading: LoadSpec | undefined;
  /** Somebody asked for the model to go while it was being loaded. */
  expire: boolean;
}

function leaseOf(runner: Runner, request: AcquireRequest): RunnerLease {
  const chosen = request.explicit.has("contextLength") ? request.load.contextLength : undefined;
  const { keepAlive, name, digest } = request;
  return runner.lease({ keepAlive, contextLength: chosen, name, digest });
}

/** Waits until one of some models is idle or the signal aborts; they live on, and must not keep what waited. */
async function idleOrAborted(runners: readonly Runner[], signal: AbortSignal): Promise<void> {
  const over = Promise.withResolvers<void>();
  const stops = runners.map((runner) => runner.onIdle(over.resolve));
  const abort = () => over.resolve();
  signal.addEventListener("abort", abort, { once: true });
  try {
    if (!signal.aborted) await over.promise;
  } finally {
    signal.removeEventListener("abort", abort);
    for (const stop of stops) stop();
  }
}

export function createScheduler(options: PoolOptions): Scheduler {
  return new Pool(options);
}

class Pool implements Scheduler {
  readonly #engine: Engine;
  readonly #maxLoaded: number;
  readonly #maxQueue: number;
  readonly #keepAliveNs: bigint;
  readonly #memory: () => MemoryLimit;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #events: PoolEvents | undefined;
  readonly #runners = new Map<string, Runner>();
  #queue: Pending[] = [];
  #job: Job | undefined;
  #working: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(options: PoolOptions) {
    this.#engine = options.engine;
    this.#maxLoaded = maxLoadedModels(options.maxLoadedModels);
    this.#maxQueue = options.maxQueue;
    this.#keepAliveNs = options.keepAliveNs;
    this.#memory = options.memory;
    this.#logger = options.logger.area("scheduler");
    this.#clock = options.clock ?? systemClock;
    this.#events = options.events;
  }

  async acquire(request: AcquireRequest, signal: AbortSignal): Promise<Lease> {
    const since = performance.now();
    const held = await this.#hold(request, signal);
    const loadNs = Math.max(1, Math.round((performance.now() - since) * 1e6));
    return new HeldLease(held, loadNs, request.terms, (left) => this.#hold(request, left));
  }

  async #hold(request: AcquireRequest, signal: AbortSignal): Promise<RunnerLease> {
    if (this.#ended) throw new CanceledError("the server is shutting down");
    if (signal.aborted) throw new CanceledError();
    const runner = this.#usable(request);
    return runner === undefined ? await this.#wait(request, signal) : leaseOf(runner, request);
  }

  expire(path: string): void {
    this.#runners.get(path)?.expire();
    if (this.#job?.loading?.path === path) this.#job.expire = true;
  }

  running(): RunningModel[] {
    const rows = [...this.#runners.values()].map((runner) => runner.row());
    return rows.sort((a, b) => (a.expiresAt === b.expiresAt ? 0 : b.expiresAt - a.expiresAt));
  }

  loading(): LoadingModel[] {
    const job = this.#job;
    const first = job === undefined ? [] : [job.pending];
    const rows = new Map<string, LoadingModel>();
    for (const { request } of [...first, ...this.#queue]) {
      const { path } = request.load;
      const { name, digest } = rows.get(path) ?? request;
      const state = job?.loading?.path === path ? "loading" : "queued";
      rows.set(path, { name, digest, state, waiting: (rows.get(path)?.waiting ?? 0) + 1 });
    }
    return [...rows.values()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    const stopped = new CanceledError("the server is shutting down");
    for (const pending of this.#queue.splice(0)) pending.settle(stopped);
    this.#job?.pending.settle(stopped);
    this.#job?.abort.abort();
    await Promise.allSettled([...this.#runners.values()].map((runner) => runner.close()));
    await this.#working;
    this.#runners.clear();
  }

  /** The loaded model that can serve a request right now. */
  #usable(request: AcquireRequest): Runner | undefined {
    const runner = this.#runners.get(request.load.path);
    if (runner === undefined || runner.draining || runner.closed !== undefined) return undefined;
    return serves(runner.spec, request.load, request.explicit) ? runner : undefined;
  }

  #wait(request: AcquireRequest, signal: AbortSignal): Promise<RunnerLease> {
    if (this.#job !== undefined && this.#queue.length >= this.#maxQueue) throw new BusyError();
    return new Promise((resolve, reject) => {
      const leave = (): void => this.#leave(pending);
      let settled = false;
      const pending: Pending = {
        request,
        settle: (outcome) => {
          if (settled) return;
          settled = true;
          signal.removeEventListener("abort", leave);
          if (outcome instanceof Runner) resolve(leaseOf(outcome, request));
          else reject(outcome);
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#queue.push(pending);
      const loading = this.#job?.loading;
      if (loading !== undefined && this.#servedBy(loading).includes(pending)) request.loading?.();
      if (this.#job === undefined) this.#working = this.#work();
    });
  }

  /** A client went away. A load goes on only when somebody else waits for it. */
  #leave(pending: Pending): void {
    pending.settle(new CanceledError());
    const job = this.#job;
    if (job?.pending !== pending) {
      this.#queue = this.#queue.filter((other) => other !== pending);
      return;
    }
    const heir = job.loading === undefined ? undefined : this.#servedBy(job.loading)[0];
    if (heir === undefined) {
      job.abort.abort();
      return;
    }
    this.#queue = this.#queue.filter((other) => other !== heir);
    job.pending = heir;
  }

  /** Waiting requests that a model loaded like this would serve. */
  #servedBy(spec: LoadSpec): Pending[] {
    return this.#queue.filter(
      ({ request }) =>
        request.load.path === spec.path && serves(spec, request.load, request.explicit),
    );
  }

  /** Provides waiting requests with models, one after the other. Runs once at a time. */
  async #work(): Promise<void> {
    for (let pending = this.#queue.shift(); pending; pending = this.#queue.shift()) {
      const job: Job = { pending, abort: new AbortController(), loading: undefined, expire: false };
      this.#job = job;
      let outcome: Runner | Error;
      try {
        outcome = await this.#provide(job);
      } catch (error) {
        outcome = error instanceof Error ? error : new Error(errorMessage(error));
      }
      this.#finish(job, outcome);
    }
    this.#job = undefined;
  }

  /** Answers the job's request and whoever waited for the same load. */
  #finish(job: Job, outcome: Runner | Error): void {
    job.pending.settle(outcome);
    if (job.loading !== undefined && !(outcome instanceof CanceledError)) {
      const others = this.#servedBy(job.loading);
      this.#queue = this.#queue.filter((pending) => !others.includes(pending));
      for (const pending of others) pending.settle(outcome);
    }
    if (!(outcome instanceof Runner)) return;
    if (job.expire) outcome.expire();
    // All who asked for it went away meanwhile: it expires like any other.
    if (outcome.leases === 0) outcome.rest();
  }

  /** Finds or makes room for a job's model and loads it. */
  async #provide(job: Job): Promise<Runner> {
    let inherited: { spec: LoadSpec; keepAliveNs: bigint } | undefined;
    for (;;) {
      if (job.abort.signal.aborted) throw new CanceledError();
      const { request } = job.pending;
      const runner = this.#runners.get(request.load.path);
      if (runner !== undefined) {
        const usable = this.#usable(request);
        if (usable !== undefined) return usable;
        if (runner.closed === undefined) {
          const spec = reloadSpec(runner.spec, request.load, request.explicit);
          inherited = { spec, keepAliveNs: runner.keepAliveNs };
          this.#logger.debug("model is loaded anew", { name: request.name });
        }
        await this.#remove(runner, job.abort.signal);
        continue;
      }
      if (this.#runners.size >= this.#maxLoaded) {
        await this.#makeRoom(job.abort.signal);
        continue;
      }
      const spec = this.#fitting(request, inherited?.spec ?? request.load);
      if (spec === undefined) {
        await this.#makeRoom(job.abort.signal);
        continue;
      }
      const keepAliveNs = request.keepAlive ?? inherited?.keepAliveNs ?? this.#keepAliveNs;
      return await this.#load(job, spec, keepAliveNs);
    }
  }

  /** How the model is loaded with the memory there is; undefined when another one has to go. @throws OutOfMemoryError */
  #fitting(request: AcquireRequest, spec: LoadSpec): LoadSpec | undefined {
    const others = [...this.#runners.values()].map((runner) => runner.holding());
    const fixed = request.explicit.has("slots");
    const need = (slots: number) => request.need({ ...spec, slots });
    const answer = admit(this.#memory(), others, need, spec.slots, fixed);
    if (answer.kind === "evict") return undefined;
    if (answer.kind === "refuse") throw new OutOfMemoryError(refusal(answer.need, answer.limit));
    if (answer.slots === spec.slots) return spec;
    this.#logger.debug("fewer slots fit", { name: request.name, slots: answer.slots });
    return { ...spec, slots: answer.slots };
  }

  /** One that is leaving anyway, else the policy's choice. */
  #victim(): Runner | undefined {
    const runners = [...this.#runners.values()];
    return runners.find((runner) => runner.closed !== undefined) ?? chooseVictim(runners);
  }

  /**
   * Removes an idle model. When all are busy, waits until one is idle, whichever that is: the first to
   * go gets no new requests meanwhile, but its requests may take longer than others'.
   */
  async #makeRoom(signal: AbortSignal): Promise<void> {
    const victim = this.#victim();
    if (victim === undefined) return;
    if (victim.leases === 0 || victim.closed !== undefined) {
      await this.#remove(victim, signal);
      return;
    }
    victim.draining = true;
    await idleOrAborted([...this.#runners.values()], signal);
    this.#release(victim);
    if (signal.aborted) throw new CanceledError();
  }

  /** Lets a model that was to go have new requests again. */
  #release(runner: Runner): void {
    runner.draining = false;
    if (runner.leases === 0 && runner.closed === undefined) runner.rest();
  }

  /** Waits until a model is idle, without giving it new work, and frees it. */
  async #remove(runner: Runner, signal: AbortSignal): Promise<void> {
    runner.draining = true;
    if (runner.closed === undefined) await idleOrAborted([runner], signal);
    if (signal.aborted && runner.closed === undefined) {
      this.#release(runner);
      throw new CanceledError();
    }
    await this.#close(runner, "evicted");
  }

  async #close(runner: Runner, reason: UnloadReason): Promise<void> {
    const first = runner.closed === undefined;
    await runner.close();
    if (this.#runners.get(runner.path) === runner) this.#runners.delete(runner.path);
    if (!first) return;
    this.#logger.info("model unloaded", { name: runner.name, reason });
    this.#events?.unloaded(runner.name, reason);
  }

  async #load(job: Job, spec: LoadSpec, keepAliveNs: bigint): Promise<Runner> {
    const { name, digest, explicit, need } = job.pending.request;
    job.loading = spec;
    for (const { request } of [job.pending, ...this.#servedBy(spec)]) request.loading?.();
    let model: LoadedModel;
    try {
      model = await this.#loadModel(spec, job.abort.signal);
    } catch (error) {
      const smaller = explicit.has("slots") ? spec : { ...spec, slots: 1 };
      const hopeless = this.#runners.size === 0 && smaller.slots === spec.slots;
      if (!(error instanceof OutOfMemoryError) || hopeless) throw error;
      this.#logger.warn("out of memory, trying again alone", { name, error: error.message });
      const others = [...this.#runners.values()];
      await Promise.all(others.map((runner) => this.#remove(runner, job.abort.signal)));
      job.loading = smaller;
      model = await this.#loadModel(smaller, job.abort.signal);
    }
    const runner = new Runner(
      name,
      digest,
      job.loading,
      model,
      keepAliveNs,
      this.#clock,
      this.#maxQueue,
      need(job.loading).peak,
      (idle) => {
        void this.#close(idle, "expired");
      },
    );
    this.#runners.set(spec.path, runner);
    void model.ended.then((reason) => this.#died(runner, reason));
    const { draftProblem, gpuProblem, gpus } = model.info;
    if (draftProblem !== undefined) {
      this.#logger.warn("the draft model is not used", { name, reason: draftProblem });
    }
    if (gpuProblem !== undefined) {
      this.#logger.warn("no GPU is used", { name, reason: gpuProblem });
    }
    this.#events?.loaded(name, model.info.loadNs / 1e9);
    this.#logger.info("model loaded", {
      name,
      context: model.info.contextLength,
      slots: model.info.slots,
      milliseconds: Math.round(model.info.loadNs / 1e6),
      gpus: gpus?.join(", "),
    });
    return runner;
  }

  async #loadModel(spec: LoadSpec, signal: AbortSignal): Promise<LoadedModel> {
    let model: LoadedModel;
    try {
      model = await this.#engine.load(spec, signal);
    } catch (error) {
      if (signal.aborted) throw new CanceledError();
      throw error;
    }
    if (!signal.aborted) return model;
    await model[Symbol.asyncDispose]();
    throw new CanceledError();
  }

  /** The engine's process ended by itself: the next request loads the model again. */
  #died(runner: Runner, reason: Error | undefined): void {
    if (runner.closed !== undefined) return;
    this.#logger.error("model ended", { name: runner.name, reason: reason?.message });
    void this.#close(runner, "ended");
    if (this.#runners.get(runner.path) === runner) this.#runners.delete(runner.path);
  }
}
