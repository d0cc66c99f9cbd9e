/** Runs jobs in worker processes of this executable: progress, cancel, and what a crash looks like. */
import { availableParallelism } from "node:os";
import type { Subprocess } from "bun";
import {
  ConvertError,
  EngineCrashedError,
  EngineError,
  errorMessage,
  GgufError,
  StoreError,
} from "../errors.ts";
import { howEnded, lastWords } from "../last-words.ts";
import type { Logger } from "../logger.ts";
import { memoryKills } from "../memory-kills.ts";
import type { JobProgress, JobResult, JobRunner, ModelJob } from "../model/jobs.ts";
import type { WorkerOrder, WorkerReport } from "./protocol.ts";

export interface WorkerOptions {
  /** The worker's command line: this executable with its hidden command. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly libraries: WorkerOrder["libraries"];
  readonly logger: Logger;
}

/** Half of the cores at most: chats that run meanwhile keep the others. */
function fairThreads(): number {
  return Math.max(1, Math.floor(availableParallelism() / 2));
}

export function createJobRunner(options: WorkerOptions): JobRunner {
  return (job, signal) => runJob(options, job, signal);
}

async function* runJob(
  options: WorkerOptions,
  job: ModelJob,
  signal: AbortSignal,
): AsyncGenerator<JobProgress, JobResult> {
  signal.throwIfAborted();
  await using worker = new Worker(options, job);
  const abort = () => worker.kill();
  signal.addEventListener("abort", abort, { once: true });
  try {
    for (;;) {
      const report = await worker.next();
      signal.throwIfAborted();
      if (report.type === "progress") yield report;
      else if (report.type === "done") return report.result as JobResult;
      else throw toError(report);
    }
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function toError(report: Extract<WorkerReport, { type: "failed" }>): Error {
  switch (report.code) {
    case "convert":
      return new ConvertError(report.message);
    case "gguf":
      return new GgufError(report.message, report.field ?? "", report.offset ?? 0);
    case "engine":
      return new EngineError(report.message);
    default:
      return new StoreError(report.message);
  }
}

/** One child with one job. */
class Worker implements AsyncDisposable {
  readonly #process: Subprocess<"ignore", "ignore", "pipe">;
  readonly #logger: Logger;
  readonly #kills = memoryKills();
  #waiting: WorkerReport[] = [];
  #wake = Promise.withResolvers<void>();
  #crash: Error | undefined;
  #stderr = "";
  #done = false;

  constructor({ command, env, libraries, logger }: WorkerOptions, job: ModelJob) {
    this.#logger = logger;
    this.#process = Bun.spawn([...command], {
      env: { ...env },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      serialization: "advanced",
      ipc: (report: WorkerReport) => this.#receive(report),
      onExit: (_, code, signal) => this.#onExit(code, signal),
    });
    void this.#readStderr();
    const order: WorkerOrder = { job, parent: process.pid, threads: fairThreads(), libraries };
    this.#process.send(order);
  }

  /** The next report; only the newest progress is kept. @throws EngineCrashedError */
  async next(): Promise<WorkerReport> {
    for (;;) {
      const report = this.#waiting.shift();
      if (report !== undefined) return report;
      if (this.#crash !== undefined) throw this.#crash;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
    }
  }

  kill(): void {
    this.#done = true;
    this.#process.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.#process.exited;
  }

  #receive(report: WorkerReport): void {
    this.#waiting = this.#waiting.filter(({ type }) => type !== "progress");
    this.#waiting.push(report);
    if (report.type !== "progress") this.#done = true;
    this.#wake.resolve();
  }

  #onExit(code: number | null, signal: number | string | null): void {
    const how = howEnded(code, signal, this.#kills);
    const last = lastWords(this.#stderr);
    this.#crash = new EngineCrashedError(
      `the worker has unexpectedly stopped: ${how}${last === "" ? "" : `: ${last}`}`,
    );
    if (!this.#done) {
      this.#logger.error("a worker ended by itself", { pid: this.#process.pid, how, stderr: last });
    }
    this.#wake.resolve();
  }

  async #readStderr(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.#process.stderr) {
        this.#stderr = (this.#stderr + decoder.decode(chunk, { stream: true })).slice(-4096);
      }
    } catch (error) {
      this.#logger.debug("a worker's stderr ended", { error: errorMessage(error) });
    }
  }
}
