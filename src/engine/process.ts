/**
 * The engine on libllama: every model lives in a child process of this executable, so that an abort
 * in native code costs that model's requests and nothing else.
 */
import { Checker, vocabularySpec } from "./checker.ts";
import { Child, type ProcessEngineOptions } from "./child.ts";
import type { Engine, LoadedModel, LoadSpec } from "./engine.ts";

export type { ProcessEngineOptions } from "./child.ts";

export class ProcessEngine implements Engine {
  readonly #options: ProcessEngineOptions;
  readonly #children = new Set<Child>();

  constructor(options: ProcessEngineOptions) {
    this.#options = options;
  }

  async load(spec: LoadSpec, signal: AbortSignal): Promise<LoadedModel> {
    signal.throwIfAborted();
    const since = performance.now();
    const checker = new Checker(() => this.load(vocabularySpec(spec.path), never));
    const child = new Child(this.#options, checker, () => this.#children.delete(child));
    this.#children.add(child);
    const abort = () => void child[Symbol.asyncDispose]();
    signal.addEventListener("abort", abort, { once: true });
    try {
      await child.load(spec, since);
      signal.throwIfAborted();
      return child;
    } catch (error) {
      await child[Symbol.asyncDispose]();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#children].map((child) => child[Symbol.asyncDispose]()));
  }
}

const never = new AbortController().signal;
