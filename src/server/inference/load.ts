/** Loads the model that a request names, with the request's options (api.md 3, 4). */
import { ContextOverflowError, OptionError } from "../../errors.ts";
import { checkGguf } from "../../model/gguf/check.ts";
import type { StoredModel } from "../../model/model.ts";
import { type ResolvedOptions, resolveOptions } from "../../model/options.ts";
import type { Lease } from "../../scheduler/scheduler.ts";
import { unlessAborted } from "../../unless-aborted.ts";
import type { ServerDeps } from "../deps.ts";
import type { RunScope } from "../ollama/streaming.ts";
import { milliseconds, noteFor } from "../operations/records.ts";
import { configuredLimits, deadlinesOf } from "./deadlines.ts";
import { type WantedLoad, wantedLoad } from "./load-spec.ts";

/** Blobs whose head was checked, by path and size: once per file is enough. */
const checked = new Set<string>();

/** @throws GgufError */
function checkOnce(path: string, bytes = Bun.file(path).size): void {
  const key = `${path} ${bytes}`;
  if (checked.has(key)) return;
  checkGguf(path);
  checked.add(key);
}

/** Who asks for a model, and with what. */
export interface Acquisition {
  readonly deps: ServerDeps;
  readonly model: StoredModel;
  readonly resolved: ResolvedOptions;
  readonly keepAlive: bigint | undefined;
  readonly scope: Pick<RunScope, "signal" | "terms" | "hold" | "end">;
}

/** Loads the model for a request and holds it, or ends its scope. @throws GgufError, the scheduler's errors */
export async function acquire(acquisition: Acquisition): Promise<Lease> {
  const { model, resolved, deps, scope } = acquisition;
  try {
    return await acquireAs(acquisition, wantedLoad(model, resolved, deps.config));
  } catch (error) {
    scope.end();
    throw error;
  }
}

async function acquireAs(acquisition: Acquisition, wanted: WantedLoad): Promise<Lease> {
  const { deps, model, keepAlive, scope } = acquisition;
  const { signal, terms } = scope;
  const { spec, explicit, need } = wanted;
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
  scope.hold(lease);
  noteFor(signal, { load_ms: milliseconds(lease.loadNs) });
  return lease;
}

/** What an attempt with a lease brought, and the lease that counts. */
export interface Roomy<T> {
  readonly lease: Lease;
  readonly result: T;
}

/**
 * Makes a prompt, and once more with a larger context when it did not fit into one that another
 * request chose: who chooses none is served by whatever is loaded, but never cut shorter for it.
 *
 * @param attempt throws ContextOverflowError when nothing may be cut
 * @param cut tokens and messages that were left out
 */
export async function withRoom<T>(
  acquisition: Acquisition,
  lease: Lease,
  attempt: (lease: Lease) => Promise<T>,
  cut: (result: T) => boolean,
): Promise<Roomy<T>> {
  const { model, resolved, deps, scope } = acquisition;
  const { signal } = scope;
  const make = (held: Lease) =>
    deadlinesOf(signal).during(undefined, () => unlessAborted(attempt(held), signal));
  const tried = await make(lease).then(
    (result) => ({ result, short: cut(result) }),
    (error: unknown) => {
      if (error instanceof ContextOverflowError) return { error, short: true };
      throw error;
    },
  );
  const wanted = tried.short ? wantedLoad(model, resolved, deps.config) : undefined;
  const more = wanted !== undefined && !wanted.explicit.has("contextLength");
  if (more && lease.contextLength < wanted.spec.contextLength) {
    lease[Symbol.dispose]();
    const explicit = new Set([...wanted.explicit, "contextLength" as const]);
    const larger = await acquireAs(acquisition, { ...wanted, explicit });
    return { lease: larger, result: await make(larger) };
  }
  if ("error" in tried) throw tried.error;
  return { lease, result: tried.result };
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
