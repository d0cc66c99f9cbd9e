/** The HTTP application on a scripted engine and a store of its own: no port, no native code. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, readConfig } from "../../src/config/env.ts";
import { EngineError } from "../../src/errors.ts";
import { type LogFields, type Logger, silentLogger } from "../../src/logger.ts";
import type { GuideAsset } from "../../src/model/guide.ts";
import { type JobRunner, runFileJob } from "../../src/model/jobs.ts";
import { createTransfers } from "../../src/model/registry/transfers.ts";
import { RowCache } from "../../src/model/row-cache.ts";
import { Store } from "../../src/model/store.ts";
import { createScheduler } from "../../src/scheduler/pool.ts";
import type { Scheduler } from "../../src/scheduler/scheduler.ts";
import { type App, createApp } from "../../src/server/app.ts";
import { createMetrics, poolEvents } from "../../src/server/operations/metrics.ts";
import { ggufBytes, tinyLlama } from "./gguf.ts";
import { ScriptedEngine } from "./scripted-engine.ts";

export interface Application extends AsyncDisposable {
  readonly app: App;
  /** The home folder: `.ollama` lies in it. */
  readonly home: string;
  readonly engine: ScriptedEngine;
  readonly store: Store;
  readonly scheduler: Scheduler;
  /** Errors that the server logged. */
  readonly errors: string[];
  /** Lines of requests that it logged. */
  readonly requests: LogFields[];
  /** Warnings that it logged. */
  readonly warnings: { readonly message: string; readonly fields: LogFields | undefined }[];
  send(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Response>;
  /** A POST, answered with status and parsed JSON. */
  post(path: string, body: unknown): Promise<{ status: number; body: unknown }>;
  /** A POST, answered with the objects of its NDJSON lines. */
  lines(path: string, body: unknown): Promise<unknown[]>;
  /** Stores a blob. Returns its digest. */
  upload(bytes: Uint8Array): Promise<string>;
  /** Stores a model under a name. */
  create(name: string, fields?: Record<string, unknown>, architecture?: string): Promise<void>;
}

/** Keeps lines of requests, messages of errors and warnings; the rest is dropped. */
function keepingLog({
  errors,
  warnings,
  requests,
}: Pick<Application, "errors" | "warnings" | "requests">): Logger {
  const logger: Logger = {
    ...silentLogger,
    area: () => logger,
    info: (message, fields) => {
      if (message === "request" && fields !== undefined) requests.push(fields);
    },
    warn: (message, fields) => warnings.push({ message, fields }),
    error: (message: string, fields?: LogFields) => errors.push(`${message} ${fields?.error}`),
  };
  return logger;
}

/** Conversions in this process; quantising needs native code and says so. */
// biome-ignore lint/correctness/useYield: a conversion reports no progress
export const inProcessJobs: JobRunner = async function* (job) {
  if (job.type === "quantize") throw new EngineError("no native code in this test");
  return runFileJob(job);
};

export function openApplication(
  options: { env?: Record<string, string>; guide?: GuideAsset; guardHosts?: boolean } = {},
): Application {
  const folder = mkdtempSync(join(tmpdir(), "hutch-test-"));
  const config: Config = readConfig({ HOME: folder, ...options.env });
  const errors: string[] = [];
  const warnings: Application["warnings"] = [];
  const requests: LogFields[] = [];
  const logger = keepingLog({ errors, warnings, requests });
  const engine = new ScriptedEngine();
  const metrics = createMetrics(() => scheduler.running());
  const scheduler = createScheduler({
    engine,
    maxLoadedModels: config.maxLoadedModels,
    maxQueue: config.maxQueue,
    memory: () => ({ kind: "promised", bytes: config.memoryBytes || 2 ** 40 }),
    keepAliveNs: config.keepAliveNs,
    logger,
    events: poolEvents(metrics),
  });
  const store = new Store(config.modelsFolder, { noPrune: config.noPrune, logger });
  const pauses = { retryMs: 5, progressMs: 5 };
  const transfers = createTransfers(store, config, logger, pauses);
  const deps = {
    store,
    transfers,
    scheduler,
    jobs: inProcessJobs,
    rows: new RowCache(undefined),
    config,
    logger,
    metrics,
    guide: options.guide,
  };
  const app = createApp(deps, { guardHosts: options.guardHosts ?? false });
  const send: Application["send"] = (method, path, body, headers = {}) =>
    app.handle(
      new Request(`http://localhost${path}`, {
        method,
        headers,
        ...(body === undefined
          ? {}
          : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
    );
  const post: Application["post"] = async (path, body) => {
    const answer = await send("POST", path, body);
    return { status: answer.status, body: await answer.json() };
  };
  const upload: Application["upload"] = async (bytes) => {
    const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
    const url = `http://localhost/api/blobs/${digest}`;
    await app.handle(new Request(url, { method: "POST", body: bytes }));
    return digest;
  };
  return {
    app,
    home: folder,
    engine,
    store,
    scheduler,
    errors,
    requests,
    warnings,
    send,
    post,
    async lines(path, body) {
      const answer = await send("POST", path, body);
      const type = answer.headers.get("content-type");
      if (type !== "application/x-ndjson") throw new Error(`no stream: ${await answer.text()}`);
      const text = await answer.text();
      if (!text.endsWith("\n")) throw new Error(`the stream does not end in a newline: ${text}`);
      return text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
    },
    upload,
    async create(name, fields = {}, architecture = "llama") {
      const metadata: Record<string, string | number> = { "general.architecture": architecture };
      for (const [key, value] of Object.entries(tinyLlama)) {
        if (typeof value === "number") metadata[key.replace("llama", architecture)] = value;
      }
      const digest = await upload(ggufBytes({ metadata }));
      const wanted = { model: name, files: { "model.gguf": digest }, stream: false, ...fields };
      const { status, body } = await post("/api/create", wanted);
      if (status !== 200) throw new Error(`create ${name}: ${JSON.stringify(body)}`);
    },
    async [Symbol.asyncDispose]() {
      await scheduler[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Replaces what differs from run to run: times and durations, wherever they stand. */
export function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      /(_at|total_duration|load_duration)$/.test(key) ? maskedItem(key, item) : masked(item),
    ]),
  );
}

function maskedItem(key: string, item: unknown): string {
  if (key.endsWith("_at")) {
    return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(String(item))
      ? "time"
      : `no time: ${item}`;
  }
  return Number.isInteger(item) && Number(item) > 0 ? "duration" : `no duration: ${item}`;
}
