/** Messages between a server and a worker: one job down, progress and its end up. */
import { type Static, Type as t } from "@sinclair/typebox";
import { JobResult, ModelJob } from "../model/jobs.ts";

const OptionalText = t.Union([t.String(), t.Undefined()]);

export const WorkerOrder = t.Object({
  job: ModelJob,
  /** Process id of the sender: the worker ends with it. */
  parent: t.Integer({ minimum: 1 }),
  /** Most threads that native code may use. */
  threads: t.Integer({ minimum: 1 }),
  libraries: t.Object({
    cacheFolder: t.Optional(OptionalText),
    tempFolder: t.String(),
    libraryFolder: t.Optional(OptionalText),
  }),
});
export type WorkerOrder = Static<typeof WorkerOrder>;

export const WorkerReport = t.Union([
  t.Object({ type: t.Literal("progress"), completed: t.Number(), total: t.Number() }),
  t.Object({ type: t.Literal("done"), result: JobResult }),
  t.Object({
    type: t.Literal("failed"),
    /** An error code of `AppError`, or "worker". */
    code: t.String(),
    message: t.String(),
    field: t.Optional(t.String()),
    offset: t.Optional(t.Number()),
  }),
]);
export type WorkerReport = Static<typeof WorkerReport>;
