/** The field `think` of a request (api.md 7.1). */
import { InvalidRequestError } from "../errors.ts";
import { goQuote } from "./gojson.ts";

const thinkLevels = ["high", "medium", "low", "max"] as const;
export type ThinkLevel = (typeof thinkLevels)[number];

export interface Think {
  readonly on: boolean;
  /** "medium" for plain `true`, "" for `false`. */
  readonly level: ThinkLevel | "";
  /** The request named the level, rather than saying true. */
  readonly named?: boolean;
}

const allowed = '(must be "high", "medium", "low", "max", true, or false)';

/**
 * undefined when absent or null.
 * @throws InvalidRequestError with Ollama's words
 */
export function parseThink(value: unknown): Think | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "boolean") return { on: value, level: value ? "medium" : "" };
  if (typeof value !== "string") {
    throw new InvalidRequestError(
      'think must be a boolean or string ("high", "medium", "low", "max", true, or false)',
    );
  }
  const level = thinkLevels.find((known) => known === value);
  if (level === undefined) {
    throw new InvalidRequestError(`invalid think value: ${goQuote(value)} ${allowed}`);
  }
  return { on: true, level };
}
