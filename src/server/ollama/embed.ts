/** `POST /api/embed` and the old `POST /api/embeddings` (api.md 8). */
import { Elysia } from "elysia";
import {
  ContextOverflowError,
  InvalidRequestError,
  ModelNotFoundError,
  ModelRequiredError,
} from "../../errors.ts";
import { shortFloat32 } from "../../model/gojson.ts";
import { parseKeepAlive } from "../../scheduler/keep-alive.ts";
import type { Lease } from "../../scheduler/scheduler.ts";
import type { ServerDeps } from "../deps.ts";
import { acquire, optionsFor } from "../inference/load.ts";
import { findModel, referenceOf } from "../inference/lookup.ts";
import { goBody } from "./go-body.ts";
import { EmbedBody, EmbeddingsBody } from "./schemas.ts";
import { respond, runScope } from "./streaming.ts";

/** @throws InvalidRequestError */
function inputsOf(input: unknown): string[] {
  if (input === undefined || input === null || input === "") return [];
  if (typeof input === "string") return [input];
  if (Array.isArray(input) && input.every((item) => typeof item === "string")) return input;
  throw new InvalidRequestError("invalid input type");
}

/** Tokens that begin and end a text, for which a cut leaves room. */
const frame = 2;

/**
 * Tokens of an input, cut to what the model can take; or an error when it must not be cut. What is
 * kept goes through text once more, as in Ollama, and is cut again should it have grown (api.md 8.1).
 */
async function tokensOf(lease: Lease, input: string, truncate: boolean): Promise<number[]> {
  const { model, contextLength } = lease;
  const whole = { addSpecial: true, parseSpecial: true };
  const plain = await model.tokenize(input, { addSpecial: false, parseSpecial: true });
  if (plain.length <= contextLength) {
    return (await model.tokenize(input, whole)).slice(0, contextLength);
  }
  if (!truncate) {
    throw new ContextOverflowError(
      "the input length exceeds the context length",
      plain.length,
      contextLength,
    );
  }
  const room = contextLength - frame;
  if (room <= 0) {
    throw new InvalidRequestError("input after truncation exceeds maximum context length");
  }
  const kept = await model.detokenize(plain.slice(0, room));
  return (await model.tokenize(kept, whole)).slice(0, contextLength);
}

/** Cut to `dimensions` and normalised again, when fewer than the vector has (api.md 8.1). */
function shortened(vector: Float32Array, dimensions: number | undefined): number[] {
  if (dimensions === undefined || dimensions <= 0 || dimensions >= vector.length) {
    return Array.from(vector, shortFloat32);
  }
  const cut = vector.slice(0, dimensions);
  const length = Math.sqrt(cut.reduce((sum, value) => sum + value * value, 0)) || 1;
  return Array.from(cut, (value) => shortFloat32(value / length));
}

async function embed(deps: ServerDeps, body: EmbedBody, request: Request): Promise<Response> {
  const since = performance.now();
  const inputs = inputsOf(body.input);
  const keepAlive = parseKeepAlive(body.keep_alive);
  const raw = body.model ?? "";
  if (raw.trim() === "") throw new ModelNotFoundError("model '' not found");
  const missing = () => `model "${raw}" not found, try pulling it first`;
  const model = await findModel(deps, referenceOf(raw), missing);
  const resolved = optionsFor(deps, model, body.options);
  const scope = runScope(request);
  try {
    const lease = await acquire(deps, model, resolved, keepAlive, scope);
    scope.hold(lease);
    if (inputs.length === 0) return respond(JSON.stringify({ model: raw, embeddings: [] }));
    const truncate = body.truncate ?? true;
    const tokens = await Promise.all(inputs.map((input) => tokensOf(lease, input, truncate)));
    const vectors = await lease.model.embed(tokens, { normalize: true }, scope.signal);
    return respond(
      JSON.stringify({
        model: raw,
        embeddings: vectors.map((vector) => shortened(vector, body.dimensions)),
        total_duration: Math.max(1, Math.round((performance.now() - since) * 1e6)),
        load_duration: lease.loadNs,
        prompt_eval_count: tokens.reduce((sum, { length }) => sum + length, 0),
      }),
    );
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
  const missing = () => `model "${raw}" not found, try pulling it first`;
  const model = await findModel(deps, referenceOf(raw), missing);
  const resolved = optionsFor(deps, model, body.options);
  const scope = runScope(request);
  try {
    const lease = await acquire(deps, model, resolved, keepAlive, scope);
    scope.hold(lease);
    if (!body.prompt) return respond(JSON.stringify({ embedding: [] }));
    const tokens = await tokensOf(lease, body.prompt, false);
    const [vector] = await lease.model.embed([tokens], { normalize: true }, scope.signal);
    return respond(JSON.stringify({ embedding: Array.from(vector ?? []) }));
  } finally {
    scope.end();
  }
}

export const embedRoutes = (deps: ServerDeps) =>
  new Elysia({ name: "embed" })
    .post("/api/embed", ({ body, request }) => embed(deps, body, request), {
      parse: goBody("EmbedRequest", EmbedBody),
      body: EmbedBody,
    })
    .post("/api/embeddings", ({ body, request }) => embeddings(deps, body, request), {
      parse: goBody("EmbeddingRequest", EmbeddingsBody),
      body: EmbeddingsBody,
    });
