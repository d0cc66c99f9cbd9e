/** What is left of a child with native code that ended by itself: how it ended, and what it said last. */

import { memoryKills } from "./memory-kills.ts";

/**
 * Whether the system ended a child for lack of memory.
 * @param kills what `memoryKills` told when the child began: a SIGKILL after another one since is taken
 * for one of those
 */
export function lackedMemory(signal: number | string | null | undefined, kills: number): boolean {
  return signal === "SIGKILL" && memoryKills() !== kills;
}

/** How a child ended, in words; `kills` as `lackedMemory` takes it. */
export function howEnded(
  code: number | null,
  signal: number | string | null | undefined,
  kills: number,
): string {
  if (signal === null || signal === undefined) return `exit status ${code}`;
  if (!lackedMemory(signal, kills)) return `signal ${signal}`;
  return `signal ${signal}, out of memory: the system ended it`;
}

/** Where the runtime's own report of a crash begins: it speaks of Bun, and native code has ended. */
const runtimeReport = /^=+\nBun v|^panic\(/m;

/**
 * What native code said last: the assertion that ended it where there is one, else its last lines.
 * @param stderr the end of what the child wrote
 */
export function lastWords(stderr: string): string {
  const report = runtimeReport.exec(stderr);
  const own = (report === null ? stderr : stderr.slice(0, report.index)).trim();
  const lines = own.split("\n").filter(Boolean);
  const ends = lines.filter((line) =>
    /GGML_ASSERT|GGML_ABORT|terminate called|what\(\):|(?:CUDA|ROCm) error: /.test(line),
  );
  return (ends.length > 0 ? ends : lines).slice(-3).join("; ");
}
