/**
 * Whether a hasher keeps up with the bytes that arrive. Time spent hashing fills a bucket, time that
 * passes drains it by the share that hashing may take; a full bucket means that the bytes come faster
 * than the hasher should have to take them. Bursts and pauses thereby even out. Pure.
 */

/** Share of a process's time that hashing an arrival may take: others are served beside it. */
const share = 1 / 3;
/** Milliseconds of hashing beyond the share that are a burst and no more. */
const burstMs = 80;

/** Milliseconds of hashing beyond its share so far; at least 0. */
export type HashLoad = number;

/** @param busyMs time spent hashing; `elapsedMs`: time that passed since the last call, that included */
export function nextLoad(load: HashLoad, busyMs: number, elapsedMs: number): HashLoad {
  return Math.max(0, load + busyMs - elapsedMs * share);
}

export function isOverloaded(load: HashLoad): boolean {
  return load > burstMs;
}
