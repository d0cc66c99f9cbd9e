/**
 * A runner from its parent's side: told what to do over IPC, it says when it is ready, and its death is
 * seen at once.
 */
import type { Subprocess } from "bun";
import { EngineCrashedError, EngineError, errorMessage, NotBegunError } from "../errors.ts";
import { lackedMemory, lastWords } from "../last-words.ts";
import { memoryKills } from "../memory-kills.ts";
import type { Checker } from "./checker.ts";
import { crashText, loadError, toError } from "./child-errors.ts";
import type {
  Constraint,
  ConstraintReport,
  Embeddings,
  EmbedOptions,
  GenerateEvent,
  GenerateRequest,
  LoadedModel,
  LoadedModelInfo,
  LoadSpec,
  TemplateRequest,
  TextPart,
} from "./engine.ts";
import { EventQueue } from "./event-queue.ts";
import { processState, residentBytes, watchLoad } from "./load-watch.ts";
import type { ProcessEngineOptions } from "./process-options.ts";
import { Command, checkMessage, encodeMessage, type Report, readReport } from "./protocol.ts";
import { StderrTail } from "./stderr-tail.ts";
import { Watchdog } from "./watchdog.ts";

/** How long the last words of a child that has ended are waited for, milliseconds. */
const lastWordsMs = 200;

/** Somebody who waits for a single answer. */
interface Caller {
  resolve(report: Report): void;
  reject(error: Error): void;
}

export class Child implements LoadedModel {
  readonly #process: Subprocess<"ignore", "ignore", "pipe">;
  readonly #options: ProcessEngineOptions;
  readonly #checker: Checker;
  readonly #ready = Promise.withResolvers<LoadedModelInfo>();
  readonly #ended = Promise.withResolvers<Error | undefined>();
  readonly #callers = new Map<number, Caller>();
  readonly #streams = new Map<number, EventQueue<GenerateEvent>>();
  #info: LoadedModelInfo | undefined;
  #since = 0;
  #vocabularyOnly = false;
  /** A signal makes it listen. */
  #interruptible = false;
  #ids = 0;
  readonly #kills = memoryKills();
  /** Set when the child can serve no longer. */
  #over: Error | undefined;
  #disposed = false;
  readonly #stderr: StderrTail;
  readonly #watchdog: Watchdog;
  /** Why this process killed the child, when it did. */
  #killedFor: string | undefined;
  #failed = false;
  readonly ended: Promise<Error | undefined> = this.#ended.promise;

  constructor(options: ProcessEngineOptions, checker: Checker, onEnd: () => void) {
    this.#options = options;
    this.#checker = checker;
    this.#ready.promise.catch(() => {}); // awaited by load(), which may not have begun
    this.#process = Bun.spawn([...options.command], {
      env: { ...options.env },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      serialization: "advanced",
      ipc: (message) => this.#receive(message),
      onExit: (_process, code, signal) => {
        onEnd();
        void this.#onExit(code, signal);
      },
    });
    this.#watchdog = new Watchdog(
      options.stallMs,
      () => this.#info !== undefined && this.#working(),
      (silent) => this.#stalled(silent),
    );
    this.#stderr = new StderrTail(this.#process.stderr);
  }

  /** Process id of the child, for tests and logs. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Whether it ended by itself, and not for lack of the machine's memory. */
  get failed(): boolean {
    return this.#failed;
  }

  residentBytes(): number | undefined {
    return residentBytes(this.#process.pid)();
  }

  get info(): LoadedModelInfo {
    if (this.#info === undefined) throw new EngineError("the model is still loading");
    return this.#info;
  }

  /** @param gpuProblem why it is loaded without a GPU, when it was tried with one before */
  async load(spec: LoadSpec, since: number, gpuProblem?: string): Promise<void> {
    this.#since = since;
    this.#vocabularyOnly = spec.vocabularyOnly ?? false;
    this.#send({
      type: "load",
      spec,
      parent: process.pid,
      libraries: this.#options.libraries,
      ...(this.#options.prefixCache === undefined
        ? {}
        : { prefixCache: this.#options.prefixCache }),
    });
    const resident = residentBytes(this.#process.pid);
    const loading = watchLoad(this.#options.loadStallMs, resident, () => {
      this.#killedFor = "timed out waiting for the model to load";
      this.#process.kill("SIGKILL");
    });
    try {
      const info = await this.#ready.promise;
      this.#info = gpuProblem === undefined ? info : { ...info, gpuProblem };
    } finally {
      loading.stop();
    }
    this.#watchdog.heard();
  }

  /** Whether somebody waits for the child; readers that fell behind hold their streams up themselves. */
  #working(): boolean {
    return this.#callers.size > 0 || this.#streams.values().some((stream) => !stream.paused);
  }

  /** A dump of what was going on goes to the log, then the child goes; its requests end with the reason. */
  #stalled(silentMs: number): void {
    const seconds = Math.round(silentMs / 1000);
    this.#killedFor = `no progress for ${seconds} s with ${this.#streams.size} running requests`;
    this.#options.logger.error("a runner made no progress and is replaced", {
      pid: this.#process.pid,
      silent_ms: Math.round(silentMs),
      streams: [...this.#streams.keys()].join(",") || undefined,
      calls: [...this.#callers.keys()].join(",") || undefined,
      state: processState(this.#process.pid),
      stderr: this.#stderr.text.slice(-500) || undefined,
    });
    this.#process.kill("SIGKILL");
  }

  async tokenize(
    text: string,
    options: { addSpecial: boolean; parseSpecial: boolean },
  ): Promise<number[]> {
    const report = await this.#ask({ type: "tokenize", id: this.#ids++, text, ...options });
    return report.type === "tokens" ? report.tokens : unexpected(report);
  }

  async tokenizePrompt(
    prompt: readonly TextPart[],
    { addSpecial }: { addSpecial: boolean },
  ): Promise<readonly number[]> {
    const report = await this.#ask({ type: "prompt", id: this.#ids++, prompt, addSpecial });
    return report.type === "tokens" ? report.tokens : unexpected(report);
  }

  async detokenize(tokens: readonly number[]): Promise<string> {
    const report = await this.#ask({ type: "detokenize", id: this.#ids++, tokens: [...tokens] });
    return report.type === "text" ? report.text : unexpected(report);
  }

  async applyTemplate(request: TemplateRequest): Promise<string> {
    const variables = Object.entries(request.kwargs)
      .map(([name, json]) => `${JSON.stringify(name)}:${json}`)
      .join(",");
    const report = await this.#ask({
      type: "render",
      id: this.#ids++,
      messages: request.messagesJson,
      tools: request.toolsJson ?? "",
      variables: `{${variables}}`,
      ending: request.ending,
    });
    return report.type === "text" ? report.text : unexpected(report);
  }

  async check(
    constraint: Constraint,
    texts: readonly string[],
    signal: AbortSignal,
  ): Promise<ConstraintReport> {
    if (!this.#vocabularyOnly) return await this.#checker.check(constraint, texts, signal);
    const { kind, text } = constraint;
    const id = this.#ids++;
    const report = await this.#askUntil(
      { type: "check", id, kind, text, texts: [...texts] },
      signal,
    );
    return report.type === "checked" ? report.report : unexpected(report);
  }

  async embed(
    texts: readonly string[],
    options: EmbedOptions,
    signal: AbortSignal,
  ): Promise<Embeddings> {
    const id = this.#ids++;
    const report = await this.#askUntil({ type: "embed", id, texts: [...texts], options }, signal);
    if (report.type !== "vectors") return unexpected(report);
    const { bytes, promptTokens, cutTokens } = report;
    const all = new Float32Array(bytes.slice().buffer);
    const width = all.length / Math.max(1, texts.length);
    const vectors = texts.map((_, i) => all.subarray(i * width, (i + 1) * width));
    return { vectors, promptTokens, cutTokens };
  }

  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent> {
    signal.throwIfAborted();
    if (this.#over !== undefined) throw this.#over;
    const id = this.#ids++;
    const queue = new EventQueue<GenerateEvent>({
      pause: (paused) => this.#send({ type: paused ? "pause" : "resume", id }),
      isLast: ({ type }) => type === "done",
      end: (whole) => {
        signal.removeEventListener("abort", cancel);
        this.#streams.delete(id);
        if (!whole) this.#send({ type: "cancel", id });
      },
    });
    const cancel = () => queue.fail(signal.reason as Error);
    this.#streams.set(id, queue);
    signal.addEventListener("abort", cancel);
    this.#send({ type: "generate", id, request });
    return queue;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    // Nothing of a runner's is worth saving, and native code may hang: so no farewell.
    this.#process.kill("SIGKILL");
    await this.#process.exited;
    await this.ended;
    await this.#checker[Symbol.asyncDispose]();
  }

  #ask(command: Extract<Command, { id: number }>): Promise<Report> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    const { promise, resolve, reject } = Promise.withResolvers<Report>();
    this.#callers.set(command.id, { resolve, reject });
    this.#send(command);
    return promise;
  }

  /** Asks, and gives up when the signal aborts. */
  async #askUntil(command: Extract<Command, { id: number }>, signal: AbortSignal): Promise<Report> {
    const cancel = () => this.#cancel(command.id, signal.reason);
    signal.throwIfAborted();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await this.#ask(command);
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  #cancel(id: number, reason: unknown): void {
    this.#callers.get(id)?.reject(reason instanceof Error ? reason : new EngineError("cancelled"));
    this.#callers.delete(id);
    this.#send({ type: "cancel", id });
  }

  #send(command: Command): void {
    if (this.#over !== undefined || this.#process.exitCode !== null) return;
    if (this.#options.checkMessages) checkMessage(Command, command);
    try {
      this.#process.send(encodeMessage(command));
      if (this.#interruptible && this.#waits(command)) this.#process.kill("SIGUSR2");
    } catch {
      // The channel closes a moment before the exit is reported; onExit settles everybody.
    }
  }

  /** Whether a message is urgent: it frees a slot, or its sender waits while others are served. */
  #waits({ type }: Command): boolean {
    if (type === "cancel") return true;
    // A text that is embedded is read from its beginning when it was interrupted: others take turns.
    if (type === "embed" && this.#streams.size === 0) return false;
    return type !== "pause" && this.#streams.size + this.#callers.size > 1;
  }

  /** A child whose memory is damaged may say anything: what cannot be understood ends it. */
  #receive(carried: unknown): void {
    this.#watchdog.heard();
    try {
      this.#take(readReport(carried));
    } catch (error) {
      this.#killedFor ??= `the runner sent a message that cannot be read: ${errorMessage(error)}`;
      this.#process.kill("SIGKILL");
    }
  }

  #take(report: Report): void {
    switch (report.type) {
      case "events":
        for (const [id, event] of report.events) this.#streams.get(id)?.push(event);
        break;
      case "ready": {
        const loadNs = Math.max(1, Math.round((performance.now() - this.#since) * 1e6));
        this.#interruptible = report.interruptible;
        this.#ready.resolve({ ...report.info, loadNs });
        break;
      }
      case "resized":
        if (this.#info !== undefined) this.#info = { ...this.#info, memory: report.memory };
        break;
      case "progress":
        break;
      case "failed":
        this.#ready.reject(loadError(report.error, report.log));
        break;
      case "error": {
        const error = toError(report.error);
        this.#streams.get(report.id)?.fail(error);
        this.#callers.get(report.id)?.reject(error);
        this.#callers.delete(report.id);
        break;
      }
      case "tokens":
      case "text":
      case "vectors":
      case "checked":
        this.#callers.get(report.id)?.resolve(report);
        this.#callers.delete(report.id);
        break;
      default:
        throw new TypeError(`unknown type ${JSON.stringify(report satisfies never)}`);
    }
  }

  async #onExit(code: number | null, signal: number | string | null): Promise<void> {
    this.#watchdog.stop();
    // How it ended is settled now, whatever happens during the wait.
    const disposed = this.#disposed;
    const heardAt = this.#ids;
    const killed = this.#killedFor !== undefined || lackedMemory(signal, this.#kills);
    this.#failed = !disposed && !killed;
    // The end is often heard of before the last words; a process of its own may keep the pipe open.
    if (!disposed) await Promise.race([this.#stderr.whole, Bun.sleep(lastWordsMs)]);
    this.#over = disposed
      ? new EngineError("the model was unloaded")
      : new EngineCrashedError(
          this.#killedFor ?? crashText(code, signal, this.#stderr.text, this.#kills),
        );
    if (!disposed) {
      this.#options.logger.error("a runner ended by itself", {
        pid: this.#process.pid,
        code: code ?? undefined,
        signal: signal ?? undefined,
        stderr: lastWords(this.#stderr.text) || undefined,
      });
    }
    // Whoever lends the model hears it first: a request that waits shall not get its turn on a model that is gone.
    this.#ended.resolve(disposed ? undefined : this.#over);
    this.#ready.reject(this.#over);
    const later = disposed ? this.#over : new NotBegunError(this.#over.message);
    const notBegun = this.#notBegun(heardAt);
    for (const [id, stream] of this.#streams) {
      stream.fail(notBegun.has(id) ? later : this.#over);
    }
    for (const { reject } of this.#callers.values()) reject(this.#over);
    this.#callers.clear();
  }

  /**
   * Requests that had no slot yet, which are served in their order: the newest of more than there were
   * slots, and those from id `heardAt` on, which no child was told of.
   */
  #notBegun(heardAt: number): ReadonlySet<number> {
    const ids = [...this.#streams.keys()];
    const told = ids.filter((id) => id < heardAt);
    const beyond = told.length - (this.#info?.slots ?? 0);
    const silent = told.filter((id) => !this.#streams.get(id)?.begun);
    return new Set([...ids.slice(told.length), ...(beyond > 0 ? silent.slice(-beyond) : [])]);
  }
}

function unexpected(report: Report): never {
  throw new EngineError(`the engine answered with "${report.type}"`);
}
