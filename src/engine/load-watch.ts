/** Watches a child that loads a model: as long as its memory changes it is at work. */
import { readFileSync } from "node:fs";
import { Watchdog } from "./watchdog.ts";

/** Resident memory of a process, or undefined where the system does not tell (Linux only). */
export function residentBytes(pid: number): () => number | undefined {
  return () => {
    try {
      const pages = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1];
      return pages === undefined ? undefined : Number(pages) * 4096;
    } catch {
      return undefined;
    }
  };
}

/** What a process is doing, for the log: state, and where in the kernel it waits (Linux only). */
export function processState(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const state = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[0] ?? "";
    const waits = readFileSync(`/proc/${pid}/wchan`, "utf8");
    return waits === "" || waits === "0" ? state : `${state} in ${waits}`;
  } catch {
    return undefined;
  }
}

/**
 * Watches a load.
 * @param limitMs longest time without a change; 0 or less = any
 * @param sign something that changes while the load goes on; undefined = nothing is known, and only
 * the whole time counts
 */
export function watchLoad(
  limitMs: number,
  sign: () => number | undefined,
  stalled: () => void,
): Watchdog {
  let seen = sign();
  const unchanged = () => {
    const before = seen;
    seen = sign();
    return seen === before;
  };
  return new Watchdog(limitMs, unchanged, stalled);
}
