/**
 * Every error that hutch raises on purpose. Callers tell errors apart by class or `code`, never by
 * text; how a code becomes an HTTP status or an exit code is decided in one table per dialect
 * (`server/ollama/errors.ts`, `cli/exit-codes.ts`). Anything that is not an `AppError` and not an
 * abort is a bug: answered with 500 and logged with its stack.
 */

/** All codes; the tables of the dialects are exhaustive over this list. */
export const errorCodes = [
  "invalid_request",
  "model_required",
  "model_name",
  "model_not_found",
  "capability",
  "option",
  "cloud_disabled",
  "digest_format",
  "digest_mismatch",
  "upload_conflict",
  "blob_not_found",
  "gguf",
  "convert",
  "modelfile",
  "store",
  "format_refused",
  "registry",
  "remote_model_not_found",
  "archive",
  "unsupported",
  "busy",
  "draining",
  "canceled",
  "model_load",
  "out_of_memory",
  "context_overflow",
  "engine",
  "engine_crashed",
  "config",
  "usage",
  "connection",
  "server",
  "format",
  "timeout",
  "lock",
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** Base of all deliberate errors. `message` is what a user reads; `cause` keeps what led to it. */
export abstract class AppError extends Error {
  abstract readonly code: ErrorCode;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The request's body or a field of it is wrong; the message names the field. */
export class InvalidRequestError extends AppError {
  readonly code = "invalid_request";
}

/** A request names no model (api.md 2.2). */
export class ModelRequiredError extends AppError {
  readonly code = "model_required";
  constructor(message = "model is required") {
    super(message);
  }
}

/** A text is no valid model name; which text clients see depends on the route (api.md 2.2). */
export class ModelNameError extends AppError {
  readonly code = "model_name";
}

/** No manifest of that name in the store. */
export class ModelNotFoundError extends AppError {
  readonly code = "model_not_found";
}

/** The model cannot do what the request asks (api.md 2.3). */
export class CapabilityError extends AppError {
  readonly code = "capability";
}

/** A value in `options` has the wrong type (api.md 4). */
export class OptionError extends AppError {
  readonly code = "option";
}

/** The name asks for a model of ollama.com, which hutch never contacts. */
export class CloudDisabledError extends AppError {
  readonly code = "cloud_disabled";
}

/** A digest is not `sha256:` and 64 hex digits. */
export class DigestFormatError extends AppError {
  readonly code = "digest_format";
  constructor(message = "invalid digest format") {
    super(message);
  }
}

/** Received bytes have another digest than promised. */
export class DigestMismatchError extends AppError {
  readonly code = "digest_mismatch";
  constructor(
    readonly expected: string,
    readonly actual: string,
  ) {
    super(`digest mismatch, expected "${expected}", got "${actual}"`);
  }
}

/** Another request sends the same blob at this moment. */
export class UploadConflictError extends AppError {
  readonly code = "upload_conflict";
}

/** A manifest or request names a blob that the store lacks. */
export class BlobNotFoundError extends AppError {
  readonly code = "blob_not_found";
}

/** A GGUF file is malformed; `field` and byte `offset` say where. */
export class GgufError extends AppError {
  readonly code = "gguf";
  constructor(
    message: string,
    readonly field: string,
    readonly offset: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Weights, tokenizer or configuration of a foreign format cannot be converted; names file and field. */
export class ConvertError extends AppError {
  readonly code = "convert";
}

/** A Modelfile does not parse, or says something impossible. */
export class ModelfileError extends AppError {
  readonly code = "modelfile";
}

/** The store could not be read or written (permissions, disk full, damaged manifest). */
export class StoreError extends AppError {
  readonly code = "store";
}

/** An archive of models is not what it should be, or cannot be made. */
export class ArchiveError extends AppError {
  readonly code = "archive";
}

/** A registry refused, answered nonsense, or could not be reached. */
export class RegistryError extends AppError {
  readonly code: "registry" | "remote_model_not_found" = "registry";
  /** HTTP status of the registry's answer; undefined when there was none. */
  readonly status: number | undefined;
  /** Whether the same request may work a moment later. */
  readonly transient: boolean;
  /** How long the registry asked to wait, milliseconds. */
  readonly retryAfterMs: number | undefined;
  constructor(
    message: string,
    options: ErrorOptions & { status?: number; transient?: boolean; retryAfterMs?: number } = {},
  ) {
    super(message, options);
    this.status = options.status;
    this.transient = options.transient ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** A registry has no model of that name. */
export class RemoteModelNotFoundError extends RegistryError {
  override readonly code = "remote_model_not_found";
}

/** A format asked for cannot be kept; the message names place, keyword and reason. */
export class FormatRefusedError extends AppError {
  readonly code = "format_refused";
}

/** Known to the protocol, but not something this version does. */
export class UnsupportedError extends AppError {
  readonly code = "unsupported";
}

/** The queue is full; the client may try again. */
export class BusyError extends AppError {
  readonly code = "busy";
  constructor(message = "server busy, please try again.  maximum pending requests exceeded") {
    super(message);
  }
}

/** The server is ending and takes no new work. */
export class DrainingError extends AppError {
  readonly code = "draining";
  constructor(message = "the server is shutting down") {
    super(message);
  }
}

/** The caller went away or gave up while waiting. */
export class CanceledError extends AppError {
  readonly code = "canceled";
  constructor(message = "request canceled") {
    super(message);
  }
}

/** The engine refused or failed to load a model file. */
export class ModelLoadError extends AppError {
  readonly code = "model_load";
}

/** Memory does not suffice for the model or its context. */
export class OutOfMemoryError extends AppError {
  readonly code = "out_of_memory";
}

/** A prompt has more tokens than its context can take. */
export class ContextOverflowError extends AppError {
  readonly code = "context_overflow";
  constructor(
    message: string,
    /** Tokens of the prompt. */
    readonly promptTokens: number,
    /** Tokens that a slot's context holds. */
    readonly contextLength: number,
  ) {
    super(message);
  }
}

/** The engine reported a failure but goes on. */
export class EngineError extends AppError {
  readonly code = "engine";
}

/** The engine's process ended while it had work; the next request starts a fresh one. */
export class EngineCrashedError extends AppError {
  readonly code = "engine_crashed";
}

/** It ended before it had begun with the request, which another one may be asked. */
export class NotBegunError extends EngineCrashedError {}

/** A variable or flag of the server has an unusable value. */
export class ConfigError extends AppError {
  readonly code = "config";
}

/** The command line is wrong. */
export class UsageError extends AppError {
  readonly code = "usage";
}

/** The CLI could not reach its server. */
export class ConnectionError extends AppError {
  readonly code = "connection";
}

/** A server answered the CLI with an error; the message is that error's text. */
export class ServerError extends AppError {
  readonly code = "server";
  constructor(
    message: string,
    /** HTTP status, 200 when the error came as a line of a stream. */
    readonly status: number,
    /** Code of the error in the server, where it tells it. */
    readonly kind?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** An answer is not in the format asked for; the message names place and rule. */
export class FormatError extends AppError {
  readonly code = "format";
}

/** The time that the command line, a header or a variable set is over. */
export class TimeoutError extends AppError {
  readonly code = "timeout";
}

/** A lock of models cannot be read, or a model is not what is pinned there. */
export class LockError extends AppError {
  readonly code = "lock";
}

/** True for the error of an aborted signal, which is never logged as a failure. */
export function isAbortError(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

/** Text of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
