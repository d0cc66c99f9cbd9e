/**
 * What Linux does when memory runs out, of the machine or of a container: it ends a process. Which one,
 * and whether it did. Elsewhere nothing is known of it.
 */
import { readFileSync, writeFileSync } from "node:fs";

const own = "/proc/self/oom_score_adj";

/** Thousandths of all memory that a child with native code counts as more than it takes (proc(5)). */
const surcharge = 500;

/** Makes this process go before the server that started it, whatever the two take. */
export function goFirst(): void {
  try {
    const given = Number(readFileSync(own, "utf8"));
    writeFileSync(own, String(Math.min(1000, given + surcharge)));
  } catch {
    // not Linux, or not allowed here: the system chooses by size alone
  }
}

/** Processes that the system has ended for lack of memory since it started; 0 where it does not tell. */
export function memoryKills(): number {
  try {
    return Number(/^oom_kill (\d+)/m.exec(readFileSync("/proc/vmstat", "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
