/**
 * Long work on model files: converting, merging shards, quantising. What is to be done is plain data,
 * so that it can be sent to a child process, where a crash or a full memory ends nothing else.
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { type Static, Type as t } from "@sinclair/typebox";
import { convertModel } from "./convert/convert.ts";
import { convertAdapter } from "./convert/lora.ts";
import { convertProjector } from "./convert/projector.ts";
import type { Digest } from "./digest.ts";
import { mergeShards } from "./gguf/merge.ts";
import type { ByteSink } from "./gguf/writer.ts";

const Paths = t.Record(t.String(), t.String());

/** A job that needs nothing but files; `output` exists already and is overwritten. */
export const FileJob = t.Union([
  t.Object({ type: t.Literal("convert"), files: Paths, output: t.String() }),
  /** The part of the same folder that sees. */
  t.Object({ type: t.Literal("projector"), files: Paths, output: t.String() }),
  t.Object({
    type: t.Literal("adapter"),
    files: Paths,
    base: t.Object({
      architecture: t.String(),
      heads: t.Integer({ minimum: 1 }),
      kvHeads: t.Integer({ minimum: 1 }),
    }),
    output: t.String(),
  }),
  /** Shards in their order. */
  t.Object({ type: t.Literal("merge"), shards: t.Array(t.String()), output: t.String() }),
]);
export type FileJob = Static<typeof FileJob>;

/** A job for llama.cpp. */
export const QuantizeJob = t.Object({
  type: t.Literal("quantize"),
  input: t.String(),
  output: t.String(),
  /** A number of `general.file_type`. */
  fileType: t.Integer(),
  /** Patterns of tensor names with types as ggml spells them, `a=q8_0;b=f16`. */
  overrides: t.String(),
});
export type QuantizeJob = Static<typeof QuantizeJob>;

export const ModelJob = t.Union([FileJob, QuantizeJob]);
export type ModelJob = Static<typeof ModelJob>;

export const JobResult = t.Object({
  digest: t.String({ pattern: "^sha256:[0-9a-f]{64}$" }),
  size: t.Integer({ minimum: 0 }),
  warnings: t.Array(t.String()),
  /** The source had 8-bit weights. */
  eightBit: t.Boolean(),
  /** The source has a part that sees, for a job of its own. */
  sees: t.Boolean(),
});
export interface JobResult {
  readonly digest: Digest;
  readonly size: number;
  readonly warnings: readonly string[];
  readonly eightBit: boolean;
  readonly sees: boolean;
}

export interface JobProgress {
  readonly completed: number;
  readonly total: number;
}

/** Runs a job, wherever that is; ends it when the signal aborts or the caller stops listening. */
export type JobRunner = (
  job: ModelJob,
  signal: AbortSignal,
) => AsyncGenerator<JobProgress, JobResult>;

/** Writes to a file, hashing on the way: the file need not be read again for its digest. */
class HashedFile implements ByteSink, Disposable {
  readonly #file: number;
  readonly #hasher = new Bun.CryptoHasher("sha256");
  size = 0;

  readonly #checkpoint: () => void;

  constructor(path: string, checkpoint: () => void) {
    this.#file = openSync(path, "w");
    this.#checkpoint = checkpoint;
  }

  write(bytes: Uint8Array): void {
    this.#checkpoint();
    this.#hasher.update(bytes);
    let done = 0;
    while (done < bytes.length) done += writeSync(this.#file, bytes, done);
    this.size += bytes.length;
  }

  digest(): Digest {
    return `sha256:${this.#hasher.digest("hex")}`;
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}

/**
 * Does a job in this process, blocking it.
 * @param checkpoint called before every write; what it throws ends the job
 * @throws ConvertError, GgufError
 */
export function runFileJob(job: FileJob, checkpoint: () => void = () => {}): JobResult {
  using file = new HashedFile(job.output, checkpoint);
  let warnings: readonly string[] = [];
  let eightBit = false;
  let sees = false;
  if (job.type === "merge") mergeShards(job.shards, file);
  else if (job.type === "adapter") convertAdapter(job.files, job.base, file);
  else if (job.type === "projector") convertProjector(job.files, file);
  else ({ warnings, eightBit, sees } = convertModel(job.files, file));
  return { digest: file.digest(), size: file.size, warnings, eightBit, sees };
}

/** Digest and size of a file that something else has written. */
export function hashFile(path: string): { digest: Digest; size: number } {
  const hasher = new Bun.CryptoHasher("sha256");
  const chunk = Buffer.alloc(4 * 2 ** 20);
  const file = openSync(path, "r");
  let size = 0;
  try {
    for (let got = readSync(file, chunk); got > 0; got = readSync(file, chunk)) {
      hasher.update(chunk.subarray(0, got));
      size += got;
    }
  } finally {
    closeSync(file);
  }
  return { digest: `sha256:${hasher.digest("hex")}`, size };
}
