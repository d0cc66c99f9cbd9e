/** The native half of a build: source → objects → finished libraries in the cache → dist/lib. */
import { mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { build, type CMakeRun, configure, outputFolder } from "./cmake.ts";
import { buildCrate } from "./crate.ts";
import { BuildError } from "./failure.ts";
import { copyAtomic, filesBelow, removeFolder, sha256File } from "./files.ts";
import { withLock } from "./lock.ts";
import { type LibraryFile, type LibraryManifest, readManifest, writeManifest } from "./manifest.ts";
import { hashFfi } from "./plan.ts";
import type { Progress } from "./progress.ts";
import { ensureSource } from "./source.ts";

/** `cuda` → the name of its library; everything else is embedded in the executable. */
const gpuLibrary = /ggml-(?:cuda|vulkan|metal|hip)\./;
const libraryName = /\.(?:so|dylib|dll)$/;

/** Libraries that only peers need have their own folder. */
const notShipped = /(?:^|[/\\])(?:lib)?llama-.*-impl\./;

/** Builds the libraries unless the cache has them; returns their manifest. */
export async function buildLibraries(
  job: CMakeRun,
  clean: boolean,
  progress: Progress,
): Promise<LibraryManifest> {
  const { plan } = job;
  const ready = clean ? undefined : readManifest(plan.libraryFolder);
  if (ready !== undefined) {
    progress.note("    libraries: nothing has changed");
    return ready;
  }
  progress.expect(4);
  mkdirSync(plan.buildFolder, { recursive: true });
  return await lockBuild(job, progress, async () => {
    const built = clean ? undefined : readManifest(plan.libraryFolder);
    if (built !== undefined) {
      progress.expect(-4);
      return built;
    }
    if (clean) {
      removeFolder(join(plan.buildFolder, "objects"));
      rmSync(join(plan.buildFolder, "configured"), { force: true });
    }
    rmSync(job.log, { force: true });
    progress.note(`    log: ${job.log}`);
    progress.step(`Source of llama.cpp ${job.source.version}`);
    await ensureSource(job.source, job.environment, job.log, (text) => progress.note(text));
    progress.step("Constraint engine");
    await buildCrate(job, (done, total) => progress.update(done, total));
    progress.step("Configure");
    await configure(job, false);
    progress.step("Compile");
    await build(job, "hutch-native", (done, total) => progress.update(done, total));
    // What was compiled must be what its key says, also for the next checkout that looks it up.
    if (hashFfi(job.ffiFolder) !== plan.ffiHash) {
      throw new BuildError(
        `files in "${job.ffiFolder}" changed while they were compiled: build again`,
      );
    }
    return await installLibraries(job);
  });
}

export function lockBuild<T>(
  job: CMakeRun,
  progress: Progress,
  work: () => Promise<T>,
): Promise<T> {
  const file = join(job.plan.buildFolder, "lock");
  const onWait = () => progress.note(`    waiting for another build in ${job.plan.buildFolder}`);
  return withLock(file, onWait, work);
}

/** Copies what was built to its folder in the cache, which appears whole or not at all. */
async function installLibraries(job: CMakeRun): Promise<LibraryManifest> {
  const { plan } = job;
  const from = outputFolder(plan);
  const work = `${plan.libraryFolder}.${process.pid}.tmp`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const files: LibraryFile[] = [];
  for (const name of filesBelow(from)) {
    if (!libraryName.test(name) || notShipped.test(name)) continue;
    copyAtomic(join(from, name), join(work, name));
    files.push({
      name,
      sha256: await sha256File(join(work, name)),
      bytes: statSync(join(work, name)).size,
      embed: !gpuLibrary.test(name),
    });
  }
  if (files.length === 0) throw new BuildError(`no library in "${from}"`, job.log);
  const manifest: LibraryManifest = {
    key: plan.libraryKey,
    llama: { version: job.source.version, commit: job.source.commit },
    flags: plan.flags,
    compiler: job.toolchain.compiler,
    files,
  };
  writeManifest(work, manifest);
  removeFolder(plan.libraryFolder);
  renameSync(work, plan.libraryFolder);
  return manifest;
}

/**
 * Makes dist/lib hold exactly the libraries of `manifest`. Files are replaced one by one, so that a
 * process that uses the old ones keeps them.
 */
export async function publishLibraries(
  manifest: LibraryManifest,
  from: string,
  to: string,
): Promise<void> {
  const present = readManifest(to);
  // Written anew: by its time one sees that the libraries are those of the sources as they are now.
  if (present?.key === manifest.key) return writeManifest(to, manifest);
  mkdirSync(to, { recursive: true });
  const unchanged = new Map(present?.files.map((file) => [file.name, file.sha256]));
  for (const file of manifest.files) {
    if (unchanged.get(file.name) === file.sha256) continue;
    copyAtomic(join(from, file.name), join(to, file.name));
  }
  writeManifest(to, manifest);
  const wanted = new Set(["manifest.json", ...manifest.files.map((file) => file.name)]);
  for (const name of filesBelow(to)) if (!wanted.has(name)) rmSync(join(to, name));
}
