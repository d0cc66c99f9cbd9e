/** `POST /api/embed` and the old `POST /api/embeddings` (api.md 8). */
import { Elysia } from "elysia";
import type { Embeddings, EmbedOptions } from "../../engine/engine.ts";
import {
  ContextOverflowError,
  EngineError,
  InvalidRequestError,
  ModelNotFoundError,
  ModelRequiredError,
} from "../../errors.ts";
import { goQuote, shortFloat32 } from "../../model/gojson.ts";
import { parseKeepAlive } from "../../scheduler/keep-alive.ts";
import type { Lease } from "../../scheduler/scheduler.ts";
import type { ServerDeps } from "../deps.ts";
import { deadlinesOf } from "../inference/deadlines.ts";
import { type Acquisition, acquire, optionsFor, type Roomy, withRoom } from "../inference/load.ts";
import { findModel, referenceOf } from "../inference/lookup.ts";
import { goBody } from "./go-body.ts";
import { wantsExtras, withTruncation } from "./measures.ts";
import { EmbedBody, EmbeddingsBody } from "./schemas.ts";
import { respond, runScope } from "./streaming.ts";

/** @throws InvalidRequestError */
function inputsOf(input: unknown): string[] {
  if (input === undefined || input === null || input === "") return [];
  if (typeof input === "string") return [input];
  if (Array.isArray(input) && input.every((item) => typeof item === "string")) return input;
  throw new InvalidRequestError("invalid input type");
}

/** Cut to `dimensions` and normalised again, when fewer than the vector has (api.md 8.1). */
function shortened(vector: Float32Array, dimensions: number | undefined): Float32Array {
  if (dimensions === undefined || dimensions <= 0 || dimensions >= vector.length) return vector;
  const cut = vector.slice(0, dimensions);
  const length = Math.sqrt(cut.reduce((sum, value) => sum + value * value, 0)) || 1;
  return cut.map((value) => value / length);
}

/** Numbers written in one go; in between, others are served. */
const numbersAtOnce = 20_000;

/** Vectors as JSON, their numbers as 32-bit floats show. */
async function vectorsJson(vectors: readonly Float32Array[]): Promise<string> {
  const texts: string[] = [];
  let written = 0;
  for (const vector of vectors) {
    if (written > numbersAtOnce) {
      await new Promise((resolve) => setImmediate(resolve));
      written = 0;
    }
    texts.push(JSON.stringify(Array.from(vector, shortFloat32)));
    written += vector.length;
  }
  return `[${texts.join(",")}]`;
}

/** What the engine refuses is the input's fault here: 400 (api.md 8.1). */
function refused(error: unknown): never {
  if (error instanceof EngineError) throw new InvalidRequestError(error.message, { cause: error });
  throw error;
}

/** On the old route it is the server's: 500 (api.md 8.2). */
function failed(error: unknown): never {
  if (error instanceof InvalidRequestError || error instanceof ContextOverflowError) {
    throw new EngineError(error.message, { cause: error });
  }
  throw error;
}

/** Vectors of texts, with as much context as the request may have. */
function embedded(
  acquisition: Acquisition,
  held: Lease,
  texts: readonly string[],
  options: Omit<EmbedOptions, "limit">,
): Promise<Roomy<Embeddings>> {
  const { signal } = acquisition.scope;
  const attempt = async (lease: Lease) => {
    const wait = () => lease.turn("vectors", signal);
    using _turn = await deadlinesOf(signal).during("queue", wait);
    return await lease.model.embed(texts, { ...options, limit: lease.contextLength }, signal);
  };
  return withRoom(acquisition, held, attempt, ({ cutTokens }) => cutTokens > 0);
}

async function embed(deps: ServerDeps, body: EmbedBody, request: Request): Promise<Response> {
  const since = performance.now();
  const keepAlive = parseKeepAlive(body.keep_alive);
  const raw = body.model ?? "";
  if (raw.trim() === "") throw new ModelNotFoundError(`model '${raw}' not found`);
  const reference = referenceOf(raw);
  const inputs = inputsOf(body.input);
  const missing = () => `model ${goQuote(raw)} not found, try pulling it first`;
  const model = await findModel(deps, reference, missing);
  const resolved = optionsFor(deps, model, body.options);
  const scope = runScope(request);
  try {
    const acquisition = { deps, model, resolved, keepAlive, scope };
    const held = await acquire(acquisition);
    if (inputs.length === 0) return respond(JSON.stringify({ model: raw, embeddings: [] }));
    const options = { normalize: true, truncate: body.truncate ?? true };
    const { lease, result } = await embedded(acquisition, held, inputs, options).catch(refused);
    const { vectors, promptTokens, cutTokens } = result;
    const truncated = { messages: 0, tokens: cutTokens };
    const extras = wantsExtras(request, deps.config.extras) && cutTokens > 0;
    const json = await vectorsJson(vectors.map((vector) => shortened(vector, body.dimensions)));
    const measures = JSON.stringify({
      total_duration: Math.max(1, Math.round((performance.now() - since) * 1e6)),
      load_duration: lease.loadNs,
      prompt_eval_count: promptTokens,
      ...(extras ? { truncated } : {}),
    });
    const whole = `{"model":${JSON.stringify(raw)},"embeddings":${json},${measures.slice(1)}`;
    return withTruncation(respond(whole), truncated);
  } finally {
    scope.end();
  }
}

async function embeddings(
  deps: ServerDeps,
  body: EmbeddingsBody,
  request: Request,
): Promise<Response> {
  const keepAlive = parseKeepAlive(body.keep_alive);
  const raw = body.model ?? "";
  if (raw.trim() === "") throw new ModelRequiredError();
  const missing = () => `model ${goQuote(raw)} not found, try pulling it first`;
  const model = await findModel(deps, referenceOf(raw), missing);
  const resolved = optionsFor(deps, model, body.options);
  const scope = runScope(request);
  try {
    const acquisition = { deps, model, resolved, keepAlive, scope };
    const held = await acquire(acquisition);
    if (!body.prompt) return respond(JSON.stringify({ embedding: [] }));
    const normalize = model.gguf?.facts.normalizesEmbeddings ?? true;
    const options = { normalize, truncate: false };
    const { result } = await embedded(acquisition, held, [body.prompt], options).catch(failed);
    const { vectors } = result;
    return respond(JSON.stringify({ embedding: Array.from(vectors[0] ?? []) }));
  } finally {
    scope.end();
  }
}

export const embedRoutes = (deps: ServerDeps) =>
  new Elysia({ name: "embed" })
    .post(
      "/api/embed",
      ({ body, request }) => embed(deps, body, request),
      goBody("EmbedRequest", EmbedBody),
    )
    .post(
      "/api/embeddings",
      ({ body, request }) => embeddings(deps, body, request),
      goBody("EmbeddingRequest", EmbeddingsBody),
    );
