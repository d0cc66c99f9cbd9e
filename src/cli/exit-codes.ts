/**
 * Exit codes. A command line that Ollama has too ends with 1 on any error, because scripts expect it;
 * one that uses a command or a flag of hutch's own says by its code what went wrong.
 */
import { AppError, ServerError } from "../errors.ts";

export const exitCodes = {
  ok: 0,
  /** Any other error; one line `Error: …` on stderr. */
  error: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The model is not there. */
  modelMissing: 3,
  /** The model could not be loaded, or there is not enough memory. */
  loadFailed: 4,
  /** The answer is not in the format asked for. */
  formatNotMet: 5,
  /** The prompt is longer than the context, and `--truncate=false` was given. */
  contextExceeded: 6,
  /** No server at the address given. */
  unreachable: 7,
  /** `schema check`: the schema cannot be kept. */
  schemaRefused: 8,
  /** A model is not what its lock pins. */
  drift: 9,
  /** `--timeout` was over; the code of timeout(1). */
  timedOut: 124,
  /** Interrupted before the work was done. */
  interrupted: 130,
} as const;

/** Codes of errors, by their kind; what is missing ends with `error`. */
const codes: Readonly<Record<string, number>> = {
  usage: exitCodes.usage,
  model_name: exitCodes.usage,
  model_not_found: exitCodes.modelMissing,
  remote_model_not_found: exitCodes.modelMissing,
  model_load: exitCodes.loadFailed,
  out_of_memory: exitCodes.loadFailed,
  gguf: exitCodes.loadFailed,
  format: exitCodes.formatNotMet,
  format_refused: exitCodes.schemaRefused,
  context_overflow: exitCodes.contextExceeded,
  connection: exitCodes.unreachable,
  timeout: exitCodes.timedOut,
  lock: exitCodes.drift,
};

/** @param own whether the command line uses something of hutch's own */
export function exitCodeOf(error: unknown, own: boolean): number {
  if (!own || !(error instanceof AppError)) return exitCodes.error;
  if (error instanceof ServerError) {
    // Servers that do not tell the kind still tell the status.
    const missing = error.kind === undefined && error.status === 404;
    return codes[missing ? "model_not_found" : (error.kind ?? "")] ?? exitCodes.error;
  }
  return codes[error.code] ?? exitCodes.error;
}
