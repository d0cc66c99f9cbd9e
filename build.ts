/**
 * Builds hutch: native libraries into dist/lib, then the executable dist/hutch. This file only reads
 * the command line and puts the parts of scripts/build together; docs/building.md explains them.
 */
import { statSync } from "node:fs";
import { basename, join } from "node:path";
import type { CMakeRun } from "./scripts/build/cmake.ts";
import { compileExecutable } from "./scripts/build/compile.ts";
import { readBuildEnvironment } from "./scripts/build/environment.ts";
import { BuildError, lastLines } from "./scripts/build/failure.ts";
import { chooseGpus, findGpus } from "./scripts/build/gpu.ts";
import { buildLibraries, publishLibraries } from "./scripts/build/native.ts";
import { type BuildOptions, help, parseBuildOptions } from "./scripts/build/options.ts";
import { buildPeers } from "./scripts/build/peers.ts";
import { makePlan } from "./scripts/build/plan.ts";
import { Progress } from "./scripts/build/progress.ts";
import { makeRelease } from "./scripts/build/release/release.ts";
import { chooseTargets } from "./scripts/build/release/targets.ts";
import { tryOutput } from "./scripts/build/run.ts";
import { locateSource } from "./scripts/build/source.ts";
import { findToolchain } from "./scripts/build/toolchain.ts";

import { version } from "./src/version.ts";

const root = import.meta.dir;

async function main(args: readonly string[]): Promise<number> {
  const progress = new Progress();
  try {
    const options = parseBuildOptions(args);
    if (options.help) {
      process.stdout.write(help);
      return 0;
    }
    await buildAll(options, progress);
    return 0;
  } catch (error) {
    progress.abort();
    if (!(error instanceof BuildError)) throw error;
    if (error.log !== undefined) {
      process.stderr.write(`\n${await lastLines(error.log)}\n\nWhole log: ${error.log}\n`);
    }
    process.stderr.write(`Build failed: ${error.message}\n`);
    return 1;
  }
}

async function buildAll(options: BuildOptions, progress: Progress): Promise<void> {
  const environment = readBuildEnvironment();
  const toolchain = findToolchain(environment);
  const source = locateSource(environment);
  const findings = findGpus(environment.childEnv);
  const gpus = chooseGpus(options.gpu, findings);
  const ffiFolder = join(root, "ffi");
  const plan = makePlan(options, gpus, source, toolchain, environment, ffiFolder);
  progress.note(`    ${toolchain.compiler}${options.dev ? ", for this CPU only" : ""}`);
  for (const { kind, reason } of findings) {
    progress.note(`    ${gpus.includes(kind) ? "with" : "without"} ${kind}: ${reason}`);
  }
  const job: CMakeRun = {
    plan,
    source,
    toolchain,
    environment,
    ffiFolder,
    log: join(plan.buildFolder, "build.log"),
    jobs: options.jobs,
  };
  const dist = join(root, "dist");
  const manifest = await buildLibraries(job, options.clean, progress);
  await publishLibraries(manifest, plan.libraryFolder, join(dist, "lib"));
  if (options.peers) await buildPeers(job, options.clean, join(dist, "peers"), progress);
  if (options.nativeOnly) {
    progress.finish("dist/lib is ready");
    return;
  }
  const output = join(dist, process.platform === "win32" ? "hutch.exe" : "hutch");
  const inputs = {
    root,
    cache: environment.cache,
    manifest,
    libraries: plan.libraryFolder,
    entry: join(root, "src", "main.ts"),
  };
  await compileExecutable({ ...inputs, output }, progress);
  if (options.release !== undefined) {
    const host = {
      platform: process.platform,
      arch: process.arch,
      glibc: tryOutput(["getconf", "GNU_LIBC_VERSION"], environment.childEnv)?.trim(),
    };
    const release = await makeRelease(
      {
        ...inputs,
        version,
        targets: chooseTargets(options.release, host),
        demanded: options.release !== "all",
        host,
        signingKey: environment.signingKey,
        executables: join(dist, "targets"),
        output: join(dist, "release"),
      },
      progress,
    );
    const signed =
      environment.signingKey === undefined ? "not signed (no HUTCH_SIGNING_KEY)" : "signed";
    progress.finish(`dist/release is ready: ${release.archives.length} archives, ${signed}`);
    return;
  }
  const megabytes = (statSync(output).size / 1e6).toFixed(1);
  progress.finish(`dist/${basename(output)} is ready, ${megabytes} MB`);
}

process.exitCode = await main(process.argv.slice(2));
