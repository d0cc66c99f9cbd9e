/**
 * How JavaScriptCore compiles in processes that serve. Its last compiler (FTL) gains them nothing that can be
 * measured, because their time is libllama's and the system's; but for some ten thousand requests its threads
 * take the cores from steps and answers. The one before it (DFG) begins at 300 points instead of 1,000, a call
 * being 15: it pays within the first hundreds of requests. The runtime reads all this once, from its
 * environment, before any of our code runs.
 */
import { type Environment, ownEnvironment } from "./env.ts";

/** Variables of a process that serves. */
export const servingCompilers = {
  BUN_JSC_useFTLJIT: "0",
  BUN_JSC_thresholdForOptimizeAfterWarmUp: "300",
} as const;

/** The environment of a child that computes in JavaScript: it compiles as usual, whatever this process does. */
export function usualCompilers(environment: Environment): Environment {
  const kept = Object.entries(environment).filter(([name]) => !(name in servingCompilers));
  return Object.fromEntries(kept);
}

/**
 * Begins this process anew as one that serves, under the same process id; takes some 10 ms. Does nothing
 * where that cannot be or need not be: on Windows, run from source, when the user has chosen compilers.
 *
 * @param argv the command line behind the program's name
 */
export function beginAsServer(argv: readonly string[]): void {
  const compiled = import.meta.url.includes("$bunfs");
  const environment = ownEnvironment();
  const chosen = environment.BUN_JSC_useFTLJIT !== undefined;
  if (!compiled || chosen || process.execve === undefined) return;
  process.execve(process.execPath, [process.argv0, ...argv], {
    ...environment,
    ...servingCompilers,
  });
}
