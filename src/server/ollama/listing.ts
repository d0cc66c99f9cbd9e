/** `GET /api/tags`, `GET /api/ps`, `GET /api/version`, `GET /`, `GET /api/status` (api.md 9, 12). */
import { Elysia } from "elysia";
import { detailsOf } from "../../model/details.ts";
import { listModels } from "../../model/list.ts";
import { loadStoredModel } from "../../model/model.ts";
import { parseName } from "../../model/name.ts";
import type { RunningModel } from "../../scheduler/scheduler.ts";
import { version as ownVersion } from "../../version.ts";
import type { ServerDeps } from "../deps.ts";
import { wantsExtras } from "./measures.ts";
import { respond } from "./streaming.ts";
import { localTime } from "./times.ts";

function tags({ store, config, logger, rows }: ServerDeps): Response {
  const models = listModels(store, config.goTemplate, logger, rows).map((row) => ({
    name: row.name,
    model: row.model,
    modified_at: localTime(row.modifiedAt),
    size: row.size,
    digest: row.digest,
    details: row.details,
    ...(row.capabilities.length > 0 ? { capabilities: row.capabilities } : {}),
  }));
  return respond(JSON.stringify({ models }));
}

/** "For ever" is shown as the longest Go duration from now, about 292 years (api.md 3). */
const forEverMs = (2 ** 63 - 1) / 1e6;

function runningRow(deps: ServerDeps, row: RunningModel): Record<string, unknown> {
  let details: Record<string, unknown> = {};
  try {
    details = { ...detailsOf(loadStoredModel(deps.store, parseName(row.name))), parent_model: "" };
  } catch {
    // The model was deleted while it is loaded: it still runs, only its details are gone.
    details = {
      parent_model: "",
      format: "gguf",
      family: "",
      families: null,
      parameter_size: "",
      quantization_level: "",
    };
  }
  const expires = Math.min(row.expiresAt, Date.now() + forEverMs);
  return {
    name: row.name,
    model: row.name,
    size: row.size,
    digest: row.digest,
    details,
    expires_at: localTime(expires),
    size_vram: row.sizeGpu,
    context_length: row.contextLength,
  };
}

/** What hutch tells about a loaded model besides Ollama's fields (docs/additions.md). */
function slotFields({ slots, busy, queued, stopping }: RunningModel): Record<string, unknown> {
  const state = stopping ? "stopping" : "running";
  return { state, slots: { busy, total: slots }, queue: queued };
}

function ps(deps: ServerDeps, request: Request): Response {
  const { scheduler } = deps;
  const extras = wantsExtras(request, deps.config.extras);
  const models = scheduler.running().map((row) => ({
    ...runningRow(deps, row),
    ...(extras ? slotFields(row) : {}),
  }));
  if (!extras) return respond(JSON.stringify({ models }));
  const loading = scheduler.loading().map((row) => ({ ...row, model: row.name }));
  return respond(JSON.stringify({ models, loading }));
}

export const listingRoutes = (deps: ServerDeps) => {
  const root = () =>
    new Response("Ollama is running", { headers: { "content-type": "text/plain; charset=utf-8" } });
  // Clients of Ollama's API want Ollama's version; our own command line shows hutch's.
  const version = () => {
    const answer = respond(JSON.stringify({ version: deps.config.reportedVersion }));
    answer.headers.set("x-hutch-version", ownVersion);
    return answer;
  };
  const cloud = { cloud: { disabled: true, source: "env" } };
  return new Elysia({ name: "listing" })
    .get("/", root)
    .head("/", root)
    .get("/api/version", version)
    .head("/api/version", version)
    .get("/api/tags", () => tags(deps))
    .head("/api/tags", () => tags(deps))
    .get("/api/ps", ({ request }) => ps(deps, request))
    .get("/api/status", () => respond(JSON.stringify(cloud)));
};
