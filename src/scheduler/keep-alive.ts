/** `keep_alive` of a request (api.md 3): how long a model stays loaded when nobody uses it. */
import { longestDuration, parseGoDuration } from "../config/duration.ts";
import { errorMessage, InvalidRequestError } from "../errors.ts";

/** Keep-alive that never ends, nanoseconds. */
const forEver = longestDuration;

/**
 * Nanoseconds of a JSON value; undefined when absent or null. Negative means for ever.
 * @throws InvalidRequestError with Ollama's words
 */
export function parseKeepAlive(value: unknown): bigint | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number") {
    if (value < 0) return forEver;
    const ns = value * 1e9;
    return ns >= Number(forEver) ? forEver : BigInt(Math.trunc(ns));
  }
  if (typeof value === "string") {
    try {
      const ns = parseGoDuration(value);
      return ns < 0n ? forEver : ns;
    } catch (error) {
      throw new InvalidRequestError(errorMessage(error));
    }
  }
  const kind =
    typeof value === "boolean"
      ? "bool"
      : Array.isArray(value)
        ? "[]interface {}"
        : "map[string]interface {}";
  throw new InvalidRequestError(`Unsupported type: '${kind}'`);
}
