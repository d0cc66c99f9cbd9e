/**
 * The engine on libllama: every model lives in a child process of this executable, so that an abort
 * in native code costs that model's requests and nothing else.
 */

import { hasGpuBackend } from "../config/machine.ts";
import { errorMessage } from "../errors.ts";
import { Checker, vocabularySpec } from "./checker.ts";
import { Child } from "./child.ts";
import type { Engine, LoadedModel, LoadSpec } from "./engine.ts";
import type { ProcessEngineOptions } from "./process-options.ts";

export type { ProcessEngineOptions } from "./process-options.ts";

export class ProcessEngine implements Engine {
  readonly #options: ProcessEngineOptions;
  readonly #children = new Set<Child>();
  #disposed = false;

  constructor(options: ProcessEngineOptions) {
    this.#options = options;
  }

  load(spec: LoadSpec, signal: AbortSignal): Promise<LoadedModel> {
    return this.#start(spec, signal, performance.now());
  }

  /** @param gpuProblem why it is loaded without a GPU */
  async #start(
    spec: LoadSpec,
    signal: AbortSignal,
    since: number,
    gpuProblem?: string,
  ): Promise<LoadedModel> {
    signal.throwIfAborted();
    const checker = new Checker(() => this.load(vocabularySpec(spec.path), never));
    const child = new Child(this.#options, checker, () => this.#children.delete(child));
    this.#children.add(child);
    const abort = () => void child[Symbol.asyncDispose]();
    signal.addEventListener("abort", abort, { once: true });
    let problem: string;
    try {
      await child.load(spec, since, gpuProblem);
      signal.throwIfAborted();
      return child;
    } catch (error) {
      await child[Symbol.asyncDispose]();
      signal.throwIfAborted();
      // A GPU's driver ends the process when other programs have left it too little memory, for one.
      const again = child.failed && this.#mayUseGpu(spec) && !this.#disposed;
      if (!again) throw error;
      problem = errorMessage(error);
    } finally {
      signal.removeEventListener("abort", abort);
    }
    return await this.#start({ ...spec, gpuLayers: 0 }, signal, since, problem);
  }

  /** Whether a load uses GPUs if there are any; what grows in place is known to have none. */
  #mayUseGpu({ gpuLayers, inPlace, vocabularyOnly }: LoadSpec): boolean {
    if (gpuLayers >= 0 || inPlace || vocabularyOnly) return false;
    return hasGpuBackend(this.#options.libraries.libraryFolder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await Promise.all([...this.#children].map((child) => child[Symbol.asyncDispose]()));
  }
}

const never = new AbortController().signal;
