/** Configures and builds the super-project in ffi/, with the commands that cmake-js makes. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { CMake, type CMakeOptions } from "cmake-js";
import { crateLibrary } from "./crate.ts";
import type { BuildEnvironment } from "./environment.ts";
import { filesBelow, removeFolder, sha256, updateFile, writeAtomic } from "./files.ts";
import type { Plan } from "./plan.ts";
import { parseBuildLine } from "./progress.ts";
import { run } from "./run.ts";
import type { Source } from "./source.ts";
import type { Toolchain } from "./toolchain.ts";

export interface CMakeRun {
  readonly plan: Plan;
  readonly source: Source;
  readonly toolchain: Toolchain;
  readonly environment: BuildEnvironment;
  readonly ffiFolder: string;
  readonly log: string;
  readonly jobs: number;
}

/**
 * The super-project's CMake files lie in the build folder as a copy: CMake ties a build folder to the
 * path of its project, and this one is to serve every checkout.
 */
function stageProject(job: CMakeRun): string {
  const project = join(job.plan.buildFolder, "project");
  for (const file of filesBelow(job.ffiFolder)) {
    if (!/^CMakeLists\.txt$|^cmake[/\\]/.test(file)) continue;
    mkdirSync(join(project, "cmake"), { recursive: true });
    updateFile(join(job.ffiFolder, file), join(project, file));
  }
  return project;
}

function commonOptions(job: CMakeRun, project: string): CMakeOptions {
  const { generator } = job.toolchain;
  return {
    directory: project,
    out: objectsFolder(job.plan),
    config: "Release",
    isNodeApi: true,
    ...(generator === undefined ? {} : { generator }),
  };
}

const objectsFolder = (plan: Plan): string => join(plan.buildFolder, "objects");

/** Where libraries and programs land; generators for several configurations add a level. */
export function outputFolder(plan: Plan): string {
  const bin = join(objectsFolder(plan), "bin");
  const release = join(bin, "Release");
  return existsSync(release) ? release : bin;
}

/** Configures when the options have changed since the last time; CMake itself sees changed files. */
export async function configure(job: CMakeRun, peers: boolean): Promise<void> {
  const project = stageProject(job);
  const { CFLAGS, CXXFLAGS, LDFLAGS } = job.environment.compilerFlags;
  const cmake = new CMake({
    ...commonOptions(job, project),
    cMakeOptions: {
      ...job.plan.flags,
      HUTCH_LLAMA_DIR: job.source.folder,
      HUTCH_FFI_DIR: job.ffiFolder,
      HUTCH_CRATE_LIBRARY: crateLibrary(job.plan),
      HUTCH_PEERS: peers ? "ON" : "OFF",
    },
    // cmake-js sets these for Node's addons, which this is none of.
    extraCMakeArgs: [
      `-DCMAKE_C_FLAGS=${CFLAGS}`,
      `-DCMAKE_CXX_FLAGS=${CXXFLAGS}`,
      `-DCMAKE_SHARED_LINKER_FLAGS=${LDFLAGS}`,
      `-DCMAKE_MODULE_LINKER_FLAGS=${LDFLAGS}`,
      "-DCMAKE_MSVC_RUNTIME_LIBRARY=MultiThreadedDLL",
    ],
  });
  const command = await cmake.getConfigureCommand();
  const marker = join(job.plan.buildFolder, "configured");
  const state = sha256(command.join("\n"));
  const done = existsSync(marker) && (await Bun.file(marker).text()) === state;
  if (done) return;
  // A configuration that was interrupted or of other options leaves nothing that this one relies on.
  if (!existsSync(marker)) removeFolder(objectsFolder(job.plan));
  mkdirSync(objectsFolder(job.plan), { recursive: true });
  await run(command, { cwd: objectsFolder(job.plan), env: job.environment.childEnv, log: job.log });
  writeAtomic(marker, state);
}

/** Builds one target, telling how far it is. */
export async function build(
  job: CMakeRun,
  target: "hutch-native" | "hutch-peers",
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  const cmake = new CMake({
    ...commonOptions(job, join(job.plan.buildFolder, "project")),
    target,
    parallel: String(job.jobs),
  });
  await run(await cmake.getBuildCommand(), {
    env: job.environment.childEnv,
    log: job.log,
    onLine: (line) => {
      const state = parseBuildLine(line);
      if (state !== undefined) onProgress(state.done, state.total);
    },
  });
}
