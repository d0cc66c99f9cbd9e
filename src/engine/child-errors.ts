/** What a child reports, and how it ends, as errors of this process. */
import {
  ContextOverflowError,
  EngineError,
  InvalidRequestError,
  ModelLoadError,
  OutOfMemoryError,
} from "../errors.ts";
import type { Failure } from "./protocol.ts";

/** What the system and ggml say when memory is short (scheduler.md 10). */
const memoryPhrases =
  /out of (device )?memory|(cuda|hip)Malloc failed|failed to allocate|allocation failed|not enough memory|insufficient memory|erroroutofmemory/i;

/** The error that a child reported. */
export function toError(failure: Failure): Error {
  switch (failure.code) {
    case "context_overflow":
      return new ContextOverflowError(
        failure.message,
        failure.promptTokens ?? 0,
        failure.contextLength ?? 0,
      );
    case "out_of_memory":
      return new OutOfMemoryError(failure.message);
    case "model_load":
      return new ModelLoadError(failure.message);
    case "invalid_request":
      return new InvalidRequestError(failure.message);
    default:
      return new EngineError(failure.message);
  }
}

/** A failed load with the lines of the engine's log that say why. */
export function loadError(failure: Failure, log: string): Error {
  const reasons = log
    .split("\n")
    .filter((line) => /error|failed|unknown|unable|invalid|missing/i.test(line))
    .slice(-3);
  const text = [failure.message, ...reasons].join(": ");
  if (memoryPhrases.test(text))
    return new OutOfMemoryError(`model requires more system memory: ${text}`);
  return failure.code === "model_load" ? new ModelLoadError(text) : toError(failure);
}

/** Where the runtime's own report of a crash begins: it speaks of Bun, and native code has ended. */
const runtimeReport = /^=+\nBun v|^panic\(/m;

/**
 * What native code said last: the assertion that ended it where there is one, else its last lines.
 * @param stderr the end of what the child wrote
 */
export function lastWords(stderr: string): string {
  const report = runtimeReport.exec(stderr);
  const own = (report === null ? stderr : stderr.slice(0, report.index)).trim();
  const lines = own.split("\n").filter(Boolean);
  const ends = lines.filter((line) =>
    /GGML_ASSERT|GGML_ABORT|terminate called|what\(\):/.test(line),
  );
  return (ends.length > 0 ? ends : lines).slice(-3).join("; ");
}

/** Why a child ended, with what native code said last. */
export function crashText(
  code: number | null,
  signal: number | string | null,
  stderr: string,
): string {
  const how = signal !== null && signal !== undefined ? `signal ${signal}` : `exit status ${code}`;
  const kept = lastWords(stderr);
  return `model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check hutch server logs for details: ${how}${kept === "" ? "" : `: ${kept}`}`;
}
