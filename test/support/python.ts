/**
 * Python packages for tests, each in an environment of its own in the build's cache, made once a
 * machine. Where python3, pip or a package index are missing there is none, and the tests that want it
 * skip, saying why.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { readBuildEnvironment } from "../../scripts/build/environment.ts";

/** Longest that a package may take to install, milliseconds: without network pip tries for minutes. */
const longestMs = 60_000;

export interface Python {
  /** The interpreter that has the package; undefined when there is none. */
  readonly python: string | undefined;
  /** Why there is none. */
  readonly missing: string;
}

function run(command: readonly string[]): string | undefined {
  if (Bun.which(command[0] ?? "") === null) return `${command[0]} is not installed`;
  const { exitCode, stderr } = Bun.spawnSync([...command], {
    stdout: "ignore",
    stderr: "pipe",
    timeout: longestMs,
  });
  return exitCode === 0 ? undefined : `${command.join(" ")}: ${stderr.toString().slice(-300)}`;
}

/**
 * An interpreter with a package, which is installed when it is not there yet; nothing is compiled.
 * @param requirement name and exact version as pip writes them: `numpy==2.4.6`
 */
export function pythonWith(requirement: string): Python {
  const folder = join(readBuildEnvironment().cache, "python", requirement);
  const python = join(folder, "bin/python");
  if (existsSync(python)) return { python, missing: "" };
  const fresh = `${folder}.${process.pid}`;
  mkdirSync(dirname(folder), { recursive: true });
  const pip = ["-m", "pip", "install", "--quiet", "--only-binary=:all:", requirement];
  const missing = run(["python3", "-m", "venv", fresh]) ?? run([join(fresh, "bin/python"), ...pip]);
  if (missing !== undefined) {
    rmSync(fresh, { recursive: true, force: true });
    return { python: undefined, missing };
  }
  try {
    renameSync(fresh, folder);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    // Another test run was faster, and made the same.
    if (!existsSync(python)) throw error;
  }
  return { python, missing: "" };
}
