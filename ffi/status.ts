/** Status values of the shim, and the errors that they become. */
import { EngineError, OutOfMemoryError } from "../src/errors.ts";

/** `hutch_status` in hutch.h. */
export const status = {
  ok: 0,
  error: -1,
  invalid: -2,
  noMemory: -3,
  noCells: -4,
  interrupted: -5,
} as const;

export function statusError(result: number, text: string): Error {
  return result === status.noMemory ? new OutOfMemoryError(text) : new EngineError(text);
}
