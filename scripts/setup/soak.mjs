/**
 * The soak of `npm test`: three minutes of bench/soak.ts in the idle time of the other suites, because it
 * mostly waits for its own clock. Plain Node: nothing is installed yet.
 */
import { join } from "node:path";
import { bun } from "./install.mjs";
import { run, say } from "./steps.mjs";

/**
 * Starts it. Memory goes up and down by several percent, so that three minutes tell large leaks only; the
 * 30 minutes that are run by hand hold it to 5 %.
 * @returns waits for its end, and counts it as one test
 */
export function startSoak(root) {
  const skipped = { passed: 0, failed: 0, skipped: 1 };
  if (process.platform !== "linux") return async () => skipped;
  const script = join(root, "bench/soak.ts");
  const flags = ["--minutes", "3", "--kill-every", "10", "--growth", "30"];
  const ended = run("nice", ["-n", "19", bun, script, ...flags], { cwd: root, quiet: true });
  return async () => {
    const { code, output } = await ended;
    say(output.trimEnd());
    if (code === 2) return skipped; // the models that it asks are not here
    return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  };
}
