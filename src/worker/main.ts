/**
 * The hidden command `worker`: does one job on model files and ends. What makes it crash or fill the
 * memory ends here, not in the server. Ends when its parent does.
 */
import { constants, setPriority } from "node:os";
import { Value } from "@sinclair/typebox/value";
import { Native } from "../../ffi/native.ts";
import { libraryFolder } from "../../ffi/unpack.ts";
import { AppError, EngineError, errorMessage, GgufError } from "../errors.ts";
import { goFirst } from "../memory-kills.ts";
import { hashFile, type JobResult, type QuantizeJob, runFileJob } from "../model/jobs.ts";
import { WorkerOrder, type WorkerReport } from "./protocol.ts";

/** How often the progress of native code is asked for, milliseconds. */
const pollMs = 100;

type Send = (report: WorkerReport) => void;

/** Resolves with the exit code when the job is over or the parent has hung up. */
export function runWorker(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const ipc = process.send?.bind(process);
  if (ipc === undefined) {
    process.stderr.write("hutch worker is started by hutch itself\n");
    return Promise.resolve(1);
  }
  const send: Send = (report) => void ipc(report);
  // A terminal's Ctrl-C reaches the whole process group; the parent decides what it means.
  process.on("SIGINT", () => {});
  process.on("disconnect", () => resolve(0));
  process.on("message", (message) => {
    work(message, send).then(
      (result) => send({ type: "done", result }),
      (error) => send(toReport(error)),
    );
  });
  return promise;
}

async function work(message: unknown, send: Send): Promise<JobResult & { warnings: string[] }> {
  const order = Value.Decode(WorkerOrder, message);
  // Chats come first: what runs beside this must not notice it.
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  const { job } = order;
  const result =
    job.type === "quantize"
      ? await quantize(job, order, send)
      : runFileJob(job, () => checkParent(order.parent));
  return { ...result, warnings: [...result.warnings] };
}

/** A conversion never comes back to its event loop, so it looks for its parent itself. */
function checkParent(parent: number): void {
  if (process.ppid !== parent) throw new EngineError("the parent process has ended");
}

async function quantize(job: QuantizeJob, order: WorkerOrder, send: Send): Promise<JobResult> {
  const native = new Native(libraryFolder({ cacheFolder: undefined, ...order.libraries }));
  native.dieWithParent(order.parent);
  goFirst();
  native.startQuantizing({ ...job, threads: order.threads });
  try {
    for (;;) {
      const { running, done, total } = native.quantizingProgress();
      send({ type: "progress", completed: done, total });
      if (!running) break;
      await Bun.sleep(pollMs);
    }
  } catch (cause) {
    throw new EngineError(reasonOf(native.drainLog()) ?? errorMessage(cause), { cause });
  }
  return { ...hashFile(job.output), warnings: [], eightBit: false, sees: false };
}

/** The line of llama.cpp's log that says why it gave up. */
function reasonOf(log: string): string | undefined {
  const lines = log.split("\n").filter((line) => /failed to quantize|error/i.test(line));
  return lines.at(-1)?.replace(/^\w+: failed to quantize: /, "quantize: ");
}

function toReport(error: unknown): WorkerReport {
  return {
    type: "failed",
    code: error instanceof AppError ? error.code : "worker",
    message: errorMessage(error),
    ...(error instanceof GgufError ? { field: error.field, offset: error.offset } : {}),
  };
}
