/**
 * Which models are loaded, as the HTTP layer sees it. A lease keeps a model loaded; when the last
 * one is released its keep-alive timer starts (scheduler.md 3). `policy.ts` decides, `pool.ts` acts.
 */
import type { LoadedModel, LoadSpec } from "../engine/engine.ts";
import type { TurnTerms, Work } from "./turns.ts";

/** Bytes that a model takes, told before it is loaded. */
export interface MemoryNeed {
  readonly lines: readonly { readonly what: string; readonly bytes: number }[];
  /** With all its slots in use. */
  readonly held: number;
  /** For a moment, >= `held`. */
  readonly peak: number;
}

/** What is asked of the scheduler. One runner serves all names of one model blob (scheduler.md 1). */
export interface AcquireRequest {
  /** Name shown by `ps`, shortest form. */
  readonly name: string;
  /** Digest of the manifest, 64 hex digits, for `ps`. */
  readonly digest: string;
  readonly load: LoadSpec;
  /** What the model takes when it is loaded in a way. */
  readonly need: (spec: LoadSpec) => MemoryNeed;
  /**
   * Which load-time values the user chose; the others may be served by a model that is loaded with
   * different ones (scheduler.md 5).
   */
  readonly explicit: ReadonlySet<keyof LoadSpec>;
  /** Nanoseconds, 0n = unload when idle, negative = for ever; undefined keeps the last value. */
  readonly keepAlive: bigint | undefined;
  /** Called when its model begins to load, after it waited for others. */
  readonly loading?: () => void;
  /** How it is ordered among those who wait for a slot of the model. */
  readonly terms: TurnTerms;
}

export interface Lease extends Disposable {
  readonly model: LoadedModel;
  /** Name that `ps` shows for it. */
  readonly name: string;
  /**
   * Tokens of context that this request may use: what it chose, at most what is loaded. A model that
   * is loaded with more context serves a request for less without being loaded again.
   */
  readonly contextLength: number;
  /**
   * Waits for a slot of the model, or for its turn to get vectors, and holds it until the result is
   * disposed of. When the model goes meanwhile it is loaded again: `model` may be another one afterwards.
   * @throws BusyError, CanceledError, what loading throws
   */
  turn(work: Work, signal: AbortSignal): Promise<Disposable>;
  /** Time from `acquire` until the model was ready, > 0. */
  readonly loadNs: number;
}

/** One row of `ps` (scheduler.md 11). */
export interface RunningModel {
  readonly name: string;
  readonly digest: string;
  /** Absolute path of the GGUF blob. */
  readonly path: string;
  readonly size: number;
  readonly sizeGpu: number;
  /** Resident memory of its process; undefined where that is not known. */
  readonly resident: number | undefined;
  /** That of the latest lease. */
  readonly contextLength: number;
  /** Milliseconds since 1970; Infinity = for ever. */
  readonly expiresAt: number;
  /** Requests that it serves side by side at most, that it serves now, that wait for a slot. */
  readonly slots: number;
  readonly busy: number;
  readonly queued: number;
  /** It goes when its last request ends. */
  readonly stopping: boolean;
}

/** The model that is being loaded, and those whose turn to load comes. */
export interface LoadingModel {
  readonly name: string;
  readonly digest: string;
  readonly state: "loading" | "queued";
  /** Requests that wait for it. */
  readonly waiting: number;
}

export interface Scheduler extends AsyncDisposable {
  /** Waits in the queue, loads when needed. Throws BusyError, CanceledError and the engine's load errors. */
  acquire(request: AcquireRequest, signal: AbortSignal): Promise<Lease>;
  /** Unloads a model blob as soon as it is idle (at once when it is); unknown paths are fine. */
  expire(path: string): void;
  /** Loaded models, longest remaining time first. */
  running(): RunningModel[];
  /** Models that requests wait for, in the order in which they load. */
  loading(): LoadingModel[];
}
