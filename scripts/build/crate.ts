/**
 * The constraint engine in ffi/llguidance: a static library that cargo builds with the committed
 * lockfile, so that a build today and one next year link the same code.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CMakeRun } from "./cmake.ts";
import { updateFile } from "./files.ts";
import type { Plan } from "./plan.ts";
import { run } from "./run.ts";

const fileName = process.platform === "win32" ? "hutch_llguidance.lib" : "libhutch_llguidance.a";

/** What the shim links; a copy beside the objects, because checkouts share cargo's folder. */
export function crateLibrary(plan: Plan): string {
  return join(plan.buildFolder, fileName);
}

/** Builds it; cargo itself sees what has changed. */
export async function buildCrate(
  job: CMakeRun,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const folder = join(job.ffiFolder, "llguidance");
  const target = job.plan.crateFolder;
  mkdirSync(target, { recursive: true });
  const env = { ...job.environment.childEnv, CARGO_TARGET_DIR: target, CARGO_TERM_COLOR: "never" };
  await run(["cargo", "fetch", "--locked"], { cwd: folder, env, log: job.log });
  const total = packages(join(folder, "Cargo.lock"));
  const compiled = new Set<string>();
  await run(["cargo", "build", "--release", "--frozen", "--lib", "--jobs", String(job.jobs)], {
    cwd: folder,
    env,
    log: job.log,
    onLine: (line) => {
      const name = /^\s*Compiling (\S+ \S+)/.exec(line)?.[1];
      if (name !== undefined) onProgress(compiled.add(name).size, total);
    },
  });
  updateFile(join(target, "release", fileName), crateLibrary(job.plan));
}

/** Most packages that cargo may have to compile. */
function packages(lockfile: string): number {
  return readFileSync(lockfile, "utf8").split("[[package]]").length - 1;
}
