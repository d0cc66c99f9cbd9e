/** Watches a child that loads a model: as long as its memory changes it is at work. */
import { readFileSync } from "node:fs";

/** How often a loading child is looked at, milliseconds. */
const interval = 500;

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

export class LoadWatch {
  readonly #timer: Timer | undefined;

  /**
   * @param limitMs longest time without a change; 0 or less = any
   * @param sign something that changes while the load goes on; undefined = nothing is known, and only
   * the whole time counts
   */
  constructor(limitMs: number, sign: () => number | undefined, stalled: () => void) {
    if (limitMs <= 0 || !Number.isFinite(limitMs)) return;
    let last = performance.now();
    let seen = sign();
    this.#timer = setInterval(() => {
      const now = sign();
      if (now !== seen) last = performance.now();
      seen = now;
      if (performance.now() - last < limitMs) return;
      this.stop();
      stalled();
    }, interval);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
