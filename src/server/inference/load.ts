/** Loads the model that a request names, with the request's options (api.md 3, 4). */
import { OptionError } from "../../errors.ts";
import { checkGguf } from "../../model/gguf/check.ts";
import type { StoredModel } from "../../model/model.ts";
import { type ResolvedOptions, resolveOptions } from "../../model/options.ts";
import type { Lease } from "../../scheduler/scheduler.ts";
import type { ServerDeps } from "../deps.ts";
import type { RunScope } from "../ollama/streaming.ts";
import { milliseconds, noteFor } from "../operations/records.ts";
import { configuredLimits, deadlinesOf } from "./deadlines.ts";
import { wantedLoad } from "./load-spec.ts";

/** Blobs whose head was checked, by path and size: once per file is enough. */
const checked = new Set<string>();

/** @throws GgufError */
function checkOnce(path: string, bytes = Bun.file(path).size): void {
  const key = `${path} ${bytes}`;
  if (checked.has(key)) return;
  checkGguf(path);
  checked.add(key);
}

/** Loads the model for a request and holds it. @throws GgufError, the scheduler's errors */
export async function acquire(
  deps: ServerDeps,
  model: StoredModel,
  resolved: ResolvedOptions,
  keepAlive: bigint | undefined,
  { signal, terms }: Pick<RunScope, "signal" | "terms">,
): Promise<Lease> {
  const { spec, explicit, need } = wantedLoad(model, resolved, deps.config);
  // The model's own file was looked at when the model was found.
  checkOnce(spec.path, model.gguf?.head.fileBytes);
  for (const { path } of spec.adapters) checkOnce(path);
  for (const path of spec.projectors) checkOnce(path);
  if (spec.draft !== undefined) checkOnce(spec.draft);
  const { shortName: name, digest } = model;
  const deadlines = deadlinesOf(signal);
  deadlines.add(configuredLimits(deps.config));
  const loading = () => deadlines.enter("load");
  const request = { name, digest, load: spec, explicit, need, keepAlive, terms, loading };
  noteFor(signal, { model: name });
  const lease = await deadlines.during("queue", () => deps.scheduler.acquire(request, signal));
  noteFor(signal, { load_ms: milliseconds(lease.loadNs) });
  return lease;
}

/** Options of a request over the model's; unknown ones are logged. @throws OptionError */
export function optionsFor(
  deps: ServerDeps,
  model: StoredModel,
  request: Readonly<Record<string, unknown>> | undefined,
): ResolvedOptions {
  const resolved = resolveOptions(model.parameters, request);
  for (const option of resolved.unknown) {
    deps.logger.warn("invalid option provided", { option });
  }
  if (resolved.options.draft === "model" && model.draftPath === undefined) {
    throw new OptionError('option "draft": "model" needs a model that was created with DRAFT');
  }
  return resolved;
}
