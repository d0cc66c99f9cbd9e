/** When and how long to wait before a request is tried again (registry.md 4). Pure. */
import { RegistryError } from "../../errors.ts";

/** Tries of one part, of one upload part, of one commit. */
export const mostTries = 6;

/** Longest pause that a registry may ask for, milliseconds; a longer one ends the transfer. */
const longestPauseMs = 120_000;

/** Statuses that mean "not now". */
export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/**
 * Milliseconds that a `Retry-After` header asks for: whole seconds or a date (RFC 9110, 10.2.3).
 * @param now milliseconds since 1970
 */
export function retryAfterMs(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/**
 * Pause before the next try, milliseconds: what the registry asked for, else 1, 2, 4, 8, 16, 32 units
 * of `baseMs`, spread by a fifth so that many clients do not come back together.
 * @param tries failed tries so far, from 1
 * @param random in [0, 1)
 */
export function pauseMs(error: unknown, tries: number, baseMs: number, random: number): number {
  const asked = error instanceof RegistryError ? error.retryAfterMs : undefined;
  if (asked !== undefined) return asked;
  return Math.round(baseMs * 2 ** Math.min(tries - 1, 5) * (0.8 + 0.4 * random));
}

/** Whether another try can help. */
export function mayRetry(error: unknown, tries: number): boolean {
  if (!(error instanceof RegistryError) || !error.transient) return false;
  return tries < mostTries && (error.retryAfterMs ?? 0) <= longestPauseMs;
}

/** What is said when all tries are used up. */
export function retriesExceeded(error: unknown): RegistryError {
  const text = error instanceof Error ? error.message : String(error);
  const status = error instanceof RegistryError ? error.status : undefined;
  return new RegistryError(`max retries exceeded: ${text}`, {
    cause: error,
    ...(status === undefined ? {} : { status }),
  });
}
