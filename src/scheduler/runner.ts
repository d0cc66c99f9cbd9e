/**
 * One loaded (or loading, or leaving) model of the scheduler: who uses it, how long it stays when
 * nobody does. Times are those of the pool's clock.
 */
import type { LoadedModel, LoadSpec } from "../engine/engine.ts";
import { NotBegunError } from "../errors.ts";
import type { Clock } from "./clock.ts";
import { type Holding, holdingOf } from "./memory.ts";
import { expiry, type LoadedState } from "./policy.ts";
import type { RunningModel } from "./scheduler.ts";
import { Turns, vectorsAtOnce, type Work } from "./turns.ts";

/** One request's hold on this load of the model. */
export interface RunnerLease extends Disposable {
  readonly model: LoadedModel;
  readonly name: string;
  /** Tokens of context that the request may use. */
  readonly contextLength: number;
  readonly turns: Readonly<Record<Work, Turns>>;
}

/** What a lease needs to know of its request. */
export interface LeaseTerms {
  readonly keepAlive: bigint | undefined;
  /** Context the user chose; undefined = all that is loaded. */
  readonly contextLength: number | undefined;
  readonly name: string;
  readonly digest: string;
}

export class Runner implements LoadedState {
  leases = 0;
  readonly turns: Readonly<Record<Work, Turns>>;
  /** Gets no new requests: somebody waits for its place. */
  draining = false;
  /** Settles when the model's memory is free; set as soon as it begins to leave. */
  closed: Promise<void> | undefined;
  #expiresAt: number;
  #cancelTimer: (() => void) | undefined;
  readonly #idle = new Set<() => void>();
  #contextLength: number;

  constructor(
    public name: string,
    public digest: string,
    readonly spec: LoadSpec,
    readonly model: LoadedModel,
    public keepAliveNs: bigint,
    readonly clock: Clock,
    /** Most requests that may wait for a slot, and as many for their vectors. */
    maxQueue: number,
    /** The most bytes it may take. */
    readonly peak: number,
    /** Called when the model was idle for as long as its keep-alive says. */
    readonly onExpired: (runner: Runner) => void,
  ) {
    this.#expiresAt = expiry(clock.now(), keepAliveNs);
    this.#contextLength = model.info.contextLength;
    this.turns = {
      text: new Turns(model.info.slots, maxQueue, clock),
      vectors: new Turns(vectorsAtOnce, maxQueue, clock),
    };
  }

  get path(): string {
    return this.spec.path;
  }

  /** Counts one more request until the lease is disposed of; that starts the timer again. */
  lease(terms: LeaseTerms): RunnerLease {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.leases++;
    if (terms.keepAlive !== undefined) this.keepAliveNs = terms.keepAlive;
    const loaded = this.model.info.contextLength;
    const context = Math.min(terms.contextLength ?? loaded, loaded);
    if (terms.contextLength !== undefined && context !== this.#contextLength) {
      // Ollama would load the model anew here, under the name of this request.
      this.name = terms.name;
      this.digest = terms.digest;
    }
    this.#contextLength = context;
    let held = true;
    return {
      model: this.model,
      name: this.name,
      contextLength: this.#contextLength,
      turns: this.turns,
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.leases--;
        if (this.leases === 0) this.rest();
      },
    };
  }

  /** The model is idle: those who waited for that go on, and its time begins to run. */
  rest(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#expiresAt = expiry(this.clock.now(), this.keepAliveNs);
    this.#tellIdle();
    if (this.draining || this.closed !== undefined) return;
    if (this.keepAliveNs === 0n) {
      this.onExpired(this);
      return;
    }
    if (this.#expiresAt === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer = this.clock.after(this.#expiresAt - this.clock.now(), () =>
      this.onExpired(this),
    );
  }

  /** Goes as soon as nobody uses it, at once when that is now. */
  expire(): void {
    this.keepAliveNs = 0n;
    this.#expiresAt = this.clock.now();
    if (this.leases === 0) this.rest();
  }

  /** Calls back once when nobody uses the model, at once when that is now; the result takes it back. */
  onIdle(callback: () => void): () => void {
    if (this.leases === 0) callback();
    else this.#idle.add(callback);
    return () => void this.#idle.delete(callback);
  }

  #tellIdle(): void {
    const callbacks = [...this.#idle];
    this.#idle.clear();
    for (const callback of callbacks) callback();
  }

  /** Frees the model; `closed` settles when that is done. Requests that still run end with an error. */
  close(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const gone = new NotBegunError(`the model "${this.name}" is gone`);
    for (const turns of Object.values(this.turns)) turns.fail(gone);
    this.closed ??= (async () => {
      await this.model[Symbol.asyncDispose]();
      this.#tellIdle();
    })();
    return this.closed;
  }

  holding(): Holding {
    return holdingOf(this.model.info, this.peak, this.model.residentBytes());
  }

  row(): RunningModel {
    const { slots } = this.model.info;
    const { text, vectors } = this.turns;
    return {
      name: this.name,
      digest: this.digest,
      path: this.path,
      size: this.model.info.memory.total,
      sizeGpu: this.model.info.memory.gpu,
      resident: this.model.residentBytes(),
      contextLength: this.#contextLength,
      expiresAt: this.#expiresAt,
      slots,
      busy: Math.min(text.running, slots),
      stopping: this.draining || this.closed !== undefined || this.keepAliveNs === 0n,
      queued: text.waiting + Math.max(0, text.running - slots) + vectors.waiting,
    };
  }
}
