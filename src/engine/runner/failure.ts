/** Errors on their way from a runner to its parent. */
import { AppError, ContextOverflowError, errorMessage } from "../../errors.ts";
import type { Failure } from "../protocol.ts";

/** What crosses: the code, the text, and the numbers that the parent needs. */
export function toFailure(error: unknown): Failure {
  return {
    code: error instanceof AppError ? error.code : "engine",
    message: errorMessage(error),
    ...(error instanceof ContextOverflowError
      ? { promptTokens: error.promptTokens, contextLength: error.contextLength }
      : {}),
  };
}
