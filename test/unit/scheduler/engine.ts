/** An engine whose loads a test finishes by hand, and a clock that only moves when told to. */
import type { Engine, LoadedModel, LoadSpec } from "../../../src/engine/engine.ts";
import type { Clock } from "../../../src/scheduler/clock.ts";

/** One call of `load`, waiting for the test. */
export interface Load {
  readonly spec: LoadSpec;
  readonly signal: AbortSignal;
  /** Makes the load succeed; the result tells about the model and ends it. */
  succeed(): LoadedHandle;
  fail(error: Error): void;
}

export interface LoadedHandle {
  readonly disposed: boolean;
  /** The model's process ends by itself. */
  die(reason: Error): void;
}

function refuse(): never {
  throw new Error("not part of this test");
}

function loadedModel(spec: LoadSpec): { model: LoadedModel; handle: LoadedHandle } {
  const ended = Promise.withResolvers<Error | undefined>();
  const handle = { disposed: false, die: (reason: Error) => ended.resolve(reason) };
  const model: LoadedModel = {
    info: {
      contextLength: spec.contextLength,
      trainedContextLength: 8192,
      slots: spec.slots,
      vocabularySize: 1,
      addsBos: true,
      embeddingLength: 1,
      inputs: { images: false, sound: false },
      canShift: true,
      specialTokens: [],
      memory: { total: 1000, gpu: 0 },
      loadNs: 1,
    },
    tokenize: refuse,
    tokenizePrompt: refuse,
    detokenize: refuse,
    applyTemplate: refuse,
    generate: refuse,
    embed: refuse,
    check: refuse,
    residentBytes: () => 4096,
    ended: ended.promise,
    async [Symbol.asyncDispose]() {
      handle.disposed = true;
      ended.resolve(undefined);
    },
  };
  return { model, handle };
}

export class ManualEngine implements Engine {
  /** Loads that were begun and not yet finished by the test, oldest first. */
  readonly loads: Load[] = [];
  /** All loads ever begun. */
  count = 0;

  load(spec: LoadSpec, signal: AbortSignal): Promise<LoadedModel> {
    this.count++;
    const done = Promise.withResolvers<LoadedModel>();
    signal.addEventListener("abort", () =>
      done.reject(new DOMException("The operation was aborted.", "AbortError")),
    );
    this.loads.push({
      spec,
      signal,
      succeed() {
        const { model, handle } = loadedModel(spec);
        done.resolve(model);
        return handle;
      },
      fail: (error) => done.reject(error),
    });
    return done.promise;
  }

  /** The oldest unfinished load; waits until there is one. */
  async next(): Promise<Load> {
    for (;;) {
      const load = this.loads.shift();
      if (load !== undefined) return load;
      await settle();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Lets everything that is ready run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export class ManualClock implements Clock {
  #now = 1_000_000;
  #timers: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.#now + milliseconds, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get timers(): number {
    return this.#timers.length;
  }

  async advance(milliseconds: number): Promise<void> {
    this.#now += milliseconds;
    const due = this.#timers.filter((timer) => timer.at <= this.#now);
    this.#timers = this.#timers.filter((timer) => timer.at > this.#now);
    for (const timer of due) timer.callback();
    await settle();
  }
}
