/** Errors as Ollama's API answers them: one status per code, one body shape. */
import { TemplateError } from "../../chat/gotemplate/errors.ts";
import {
  AppError,
  EngineCrashedError,
  type ErrorCode,
  errorMessage,
  isAbortError,
} from "../../errors.ts";

/** Exhaustive over `ErrorCode`; a test holds it there. */
export const statusOf: Readonly<Record<ErrorCode, number>> = {
  invalid_request: 400,
  model_required: 400,
  model_name: 400,
  model_not_found: 404,
  capability: 400,
  option: 500,
  cloud_disabled: 403,
  digest_format: 400,
  digest_mismatch: 400,
  upload_conflict: 409,
  blob_not_found: 404,
  gguf: 400,
  convert: 400,
  modelfile: 400,
  store: 500,
  format_refused: 400,
  registry: 500,
  remote_model_not_found: 500,
  archive: 400,
  unsupported: 501,
  busy: 503,
  draining: 503,
  canceled: 499,
  model_load: 500,
  out_of_memory: 500,
  context_overflow: 400,
  engine: 500,
  engine_crashed: 500,
  config: 500,
  usage: 400,
  connection: 502,
  server: 500,
  format: 500,
  timeout: 504,
  lock: 409,
};

export function statusFor(error: unknown): number {
  if (error instanceof AppError) return statusOf[error.code];
  if (isAbortError(error)) return 499;
  return 500;
}

/** The body of every error: `{"error":"text"}`. */
export function errorBody(error: unknown): string {
  return JSON.stringify({ error: errorMessage(error) });
}

/** The last line of a stream that an error ends (scheduler.md 10). */
export function errorLine(error: unknown): string {
  const text = errorMessage(error);
  return error instanceof EngineCrashedError
    ? JSON.stringify({ error: `an error was encountered while running the model: ${text}` })
    : errorBody(error);
}

/** Such a line with the error's code, as the header of a plain answer tells it. */
export function withCode(line: (error: unknown) => string): (error: unknown) => string {
  return (error) =>
    error instanceof AppError
      ? JSON.stringify({ ...JSON.parse(line(error)), code: error.code })
      : line(error);
}

/** @param plain without a charset, as streaming routes answer what goes wrong in the run (api.md 1.3) */
export function errorResponse(error: unknown, options: { plain?: boolean } = {}): Response {
  const type = options.plain ? "application/json" : "application/json; charset=utf-8";
  const headers: Record<string, string> = { "content-type": type };
  const status = statusFor(error);
  if (status === 503) headers["retry-after"] = "1";
  // For our own command line, whose exit code tells kinds of errors apart.
  if (error instanceof AppError) headers["x-hutch-error"] = error.code;
  return new Response(errorBody(error), { status, headers });
}

/** What the log says of an error: never its text, which may repeat what was said. */
export function codeOf(error: unknown): ErrorCode | "internal" {
  if (error instanceof AppError) return error.code;
  return isAbortError(error) ? "canceled" : "internal";
}

/** Whether an error is a bug rather than something said on purpose. */
export function isBug(error: unknown): boolean {
  return !(error instanceof AppError) && !isAbortError(error) && !(error instanceof TemplateError);
}
