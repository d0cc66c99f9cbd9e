/** What a child reports, and how it ends, as errors of this process. */
import {
  ContextOverflowError,
  EngineError,
  InvalidRequestError,
  ModelLoadError,
  OutOfMemoryError,
} from "../errors.ts";
import { howEnded, lastWords } from "../last-words.ts";
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

/** A failed load with the last errors of the engine's log, which say why. */
export function loadError(failure: Failure, log: string): Error {
  const lines = log.split("\n").filter((line) => line.trim() !== "");
  const reasons = [...new Set(lines)].slice(-3);
  const text = [failure.message, ...reasons].join(": ");
  if (memoryPhrases.test(text))
    return new OutOfMemoryError(`model requires more system memory: ${text}`);
  return failure.code === "model_load" ? new ModelLoadError(text) : toError(failure);
}

/** Why a child ended, with what native code said last; `kills` as `howEnded` takes it. */
export function crashText(
  code: number | null,
  signal: number | string | null,
  stderr: string,
  kills: number,
): string {
  const how = howEnded(code, signal, kills);
  const kept = lastWords(stderr);
  return `model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check hutch server logs for details: ${how}${kept === "" ? "" : `: ${kept}`}`;
}
