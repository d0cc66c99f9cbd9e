/**
 * Every route of the application with what it takes and answers, as `/openapi.json` tells it. A test
 * holds this list and the application's routes together, in both directions.
 */
import type { TSchema } from "@sinclair/typebox";
import * as bodies from "../ollama/schemas.ts";
import * as answers from "./answers.ts";

/** Schemas that the document names; what uses one refers to it. */
export const components = {
  GenerateRequest: bodies.GenerateBody,
  ChatRequest: bodies.ChatBody,
  EmbedRequest: bodies.EmbedBody,
  EmbeddingsRequest: bodies.EmbeddingsBody,
  ShowRequest: bodies.ShowBody,
  CreateRequest: bodies.CreateBody,
  CopyRequest: bodies.CopyBody,
  DeleteRequest: bodies.DeleteBody,
  TransferRequest: bodies.TransferBody,
  Message: bodies.MessageShape,
  Tool: bodies.ToolShape,
  ToolCallInput: bodies.ToolCallShape,
  Error: answers.ErrorAnswer,
  OpenAiError: answers.OpenAiError,
  GenerateAnswer: answers.GenerateAnswer,
  ChatAnswer: answers.ChatAnswer,
  EmbedAnswer: answers.EmbedAnswer,
  EmbeddingsAnswer: answers.EmbeddingsAnswer,
  Progress: answers.Progress,
  ToolCall: answers.ToolCall,
  Logprob: answers.Logprob,
  Truncated: answers.Truncated,
  Details: answers.Details,
  ModelRow: answers.ModelRow,
  RunningRow: answers.RunningRow,
  LoadingRow: answers.LoadingRow,
  TagsAnswer: answers.TagsAnswer,
  PsAnswer: answers.PsAnswer,
  ShowAnswer: answers.ShowAnswer,
  VersionAnswer: answers.VersionAnswer,
  StatusAnswer: answers.StatusAnswer,
  Recommendations: answers.Recommendations,
} satisfies Record<string, TSchema>;

export type Component = keyof typeof components;

/** A good answer. */
export interface Answer {
  readonly description: string;
  /** One JSON object. */
  readonly json?: Component;
  /** Lines of JSON, each of them this or `Error`. */
  readonly lines?: Component;
  /** Text of this content type. */
  readonly text?: string;
  /** Headers of hutch's own. */
  readonly headers?: readonly AnswerHeader[];
}

export const answerHeaders = {
  "X-Hutch-Truncated": "What was left out of the prompt: `messages=3, tokens=812`.",
  "X-Hutch-Format-Level": "How the answer's form is kept: `enforced` or `validated`.",
  "X-Hutch-Upload-Offset": "Bytes of the blob that have arrived.",
  "X-Hutch-Version": "Version of hutch.",
} as const;
export type AnswerHeader = keyof typeof answerHeaders;

/** Headers that a request may have: sets of them by name. */
export const requestHeaders = {
  extras: {
    "X-Hutch-Extras":
      "`1`: the answer tells fields that Ollama does not have; `errors`: only the codes of errors in mid-stream.",
  },
  run: {
    "X-Hutch-Priority": "`low`, `normal` or `high`: who goes first when requests wait for a slot.",
    "X-Hutch-Queue-Timeout": "How long to wait for a slot, and for other models that load first.",
    "X-Hutch-Load-Timeout": "How long to wait for the model to load.",
    "X-Hutch-First-Token-Timeout": "How long to wait for the first piece of the answer.",
    "X-Hutch-Token-Timeout": "How long to wait for each further piece.",
    "X-Hutch-Request-Timeout": "How long the whole request may take.",
  },
  upload: { "Content-Range": "`bytes N-M/TOTAL`: which bytes of the blob these are. Needed." },
} as const;

export interface Operation {
  readonly summary: string;
  readonly tag: "inference" | "models" | "operations" | "hutch" | "unavailable";
  /** Body of the request: JSON of a schema, or bytes. */
  readonly body?: Component | "bytes";
  readonly headers?: readonly (keyof typeof requestHeaders)[];
  readonly answers: Readonly<Record<number, Answer>>;
  /** Statuses of errors. */
  readonly errors?: readonly number[];
  /** Shape of errors: `Error` where nothing is said, "none" for no body. */
  readonly errorBody?: Component | "none";
}

const running = ["X-Hutch-Truncated", "X-Hutch-Format-Level"] as const;
/** A malformed request, a missing model, a failure, no room, time over. */
const runErrors = [400, 403, 404, 500, 501, 503, 504];

function inference(summary: string, body: Component, json: Component): Operation {
  const description = "The answer: lines, or one object with `stream` false.";
  return {
    summary,
    tag: "inference",
    body,
    headers: ["extras", "run"],
    answers: { 200: { description, json, lines: json, headers: running } },
    errors: runErrors,
  };
}

function vectors(summary: string, body: Component, json: Component): Operation {
  const answer = { description: "Vectors.", json, headers: ["X-Hutch-Truncated"] as const };
  const common = { summary, tag: "inference", body, errors: runErrors } as const;
  return { ...common, headers: ["extras", "run"], answers: { 200: answer } };
}

function job(summary: string, body: Component): Operation {
  const description = "Lines of progress, or with `stream` false the last one.";
  return {
    summary,
    tag: "models",
    body,
    answers: { 200: { description, json: "Progress", lines: "Progress" } },
    errors: [400, 404, 409, 500, 501, 503],
  };
}

function look(summary: string, json: Component, errors: readonly number[] = []): Operation {
  return { summary, tag: "models", answers: { 200: { description: "JSON.", json } }, errors };
}

function page(summary: string, tag: Operation["tag"], text = "text/plain"): Operation {
  return { summary, tag, answers: { 200: { description: "Text.", text } } };
}

function change(summary: string, body: Component): Operation {
  const answer = { description: "Done; no body." };
  return { summary, tag: "models", body, answers: { 200: answer }, errors: [400, 404, 500, 503] };
}

/** The same as GET, without a body. */
function head(of: string, tag: Operation["tag"]): Operation {
  return { summary: `Headers of GET ${of}`, tag, answers: { 200: { description: "–" } } };
}

/** Needs an account at ollama.com, which hutch never contacts. */
function account(summary: string, ...errors: readonly number[]): Operation {
  return { summary: `${summary}: needs ollama.com`, tag: "unavailable", answers: {}, errors };
}

/** A path of OpenAI's or Anthropic's API that this version knows and does not serve. */
function planned(summary: string, ...errors: readonly number[]): Operation {
  const text = `${summary}: not in this version`;
  const common = { summary: text, tag: "unavailable", answers: {} } as const;
  return { ...common, errors: [...errors, 501], errorBody: "OpenAiError" };
}

const version = {
  description: "JSON.",
  json: "VersionAnswer",
  headers: ["X-Hutch-Version"],
} as const;
const offset = ["X-Hutch-Upload-Offset"] as const;

/** By method and path, parameters written as `:name`. */
export const operations: Readonly<Record<string, Operation>> = {
  "POST /api/generate": inference("Answers a prompt", "GenerateRequest", "GenerateAnswer"),
  "POST /api/chat": inference("Answers a conversation", "ChatRequest", "ChatAnswer"),
  "POST /api/embed": vectors("Makes vectors of texts", "EmbedRequest", "EmbedAnswer"),
  "POST /api/embeddings": vectors(
    "Makes a vector of one text, in the old form",
    "EmbeddingsRequest",
    "EmbeddingsAnswer",
  ),
  "GET /api/tags": look("Lists the models", "TagsAnswer", [500]),
  "HEAD /api/tags": head("/api/tags", "models"),
  "GET /api/ps": { ...look("Lists what is loaded", "PsAnswer"), headers: ["extras"] },
  "POST /api/show": {
    ...look("Shows a model", "ShowAnswer", [400, 403, 404, 500, 503]),
    body: "ShowRequest",
  },
  "POST /api/create": job("Makes a model", "CreateRequest"),
  "POST /api/pull": job("Fetches a model from a registry", "TransferRequest"),
  "POST /api/push": job("Sends a model to a registry", "TransferRequest"),
  "POST /api/copy": change("Gives a model a second name", "CopyRequest"),
  "DELETE /api/delete": change(
    "Removes a name, and blobs that none needs any more",
    "DeleteRequest",
  ),
  "HEAD /api/blobs/:digest": {
    summary: "Tells whether a blob is there",
    tag: "models",
    answers: { 200: { description: "It is." } },
    errors: [400, 404],
    errorBody: "none",
  },
  "POST /api/blobs/:digest": {
    summary: "Uploads a blob",
    tag: "models",
    body: "bytes",
    answers: { 200: { description: "It was there." }, 201: { description: "It is stored." } },
    errors: [400, 500, 503],
  },
  "GET /": page("Says that a server runs", "operations"),
  "HEAD /": head("/", "operations"),
  "GET /api/version": {
    summary: "Tells the version of Ollama whose API this is",
    tag: "operations",
    answers: { 200: version },
  },
  "HEAD /api/version": head("/api/version", "operations"),
  "GET /api/status": {
    ...look("Tells that nothing is sent to a cloud", "StatusAnswer"),
    tag: "operations",
  },
  "GET /healthz": page("Tells that the process answers", "operations"),
  "GET /readyz": {
    ...page("Tells whether new work is taken", "operations"),
    answers: {
      200: { description: "It is.", text: "text/plain" },
      503: { description: "The server is ending.", text: "text/plain" },
    },
  },
  "GET /metrics": page("Figures for Prometheus", "operations"),
  "GET /openapi.json": {
    summary: "This document",
    tag: "operations",
    answers: { 200: { description: "OpenAPI 3.1.", text: "application/json" } },
  },
  "HEAD /api/hutch/uploads/:digest": {
    summary: "Tells how much of a blob has arrived",
    tag: "hutch",
    answers: { 200: { description: "See the header.", headers: offset } },
    errors: [400],
    errorBody: "none",
  },
  "PATCH /api/hutch/uploads/:digest": {
    summary: "Uploads the next bytes of a blob",
    tag: "hutch",
    body: "bytes",
    headers: ["upload"],
    answers: {
      201: { description: "The blob is whole and stored.", headers: offset },
      202: { description: "Bytes are missing.", headers: offset },
    },
    errors: [400, 409, 500, 503],
  },
  "POST /api/me": account("Tells who is signed in", 503),
  "POST /api/signout": account("Signs out", 401, 503),
  "DELETE /api/user/keys/:key": account("Removes a key", 401, 503),
  "POST /api/experimental/web_search": account("Searches the web", 400, 403, 503),
  "POST /api/experimental/web_fetch": account("Fetches a page", 400, 403, 503),
  "GET /api/experimental/model-recommendations": {
    ...look("Recommends models: none", "Recommendations"),
    tag: "unavailable",
  },
  "POST /v1/chat/completions": planned("OpenAI's chat", 400, 503),
  "POST /v1/completions": planned("OpenAI's completions", 503),
  "POST /v1/embeddings": planned("OpenAI's embeddings", 503),
  "POST /v1/responses": planned("OpenAI's responses", 503),
  "POST /v1/audio/transcriptions": planned("OpenAI's transcriptions", 503),
  "POST /v1/messages": planned("Anthropic's messages", 503),
  "GET /v1/models": planned("OpenAI's list of models"),
  "GET /v1/models/:model": planned("OpenAI's word on a model"),
};
