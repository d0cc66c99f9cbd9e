/** What compiles: found once, told to the user, and part of every key. */

import type { BuildEnvironment } from "./environment.ts";
import { BuildError } from "./failure.ts";
import { tryOutput } from "./run.ts";

export interface Toolchain {
  /** First line of the compiler's version text. */
  readonly compiler: string;
  /** For example `x86_64-linux-gnu`; empty for compilers that do not say. */
  readonly target: string;
  /** What CMake is to write build files for; undefined lets cmake-js find Visual Studio. */
  readonly generator: "Ninja" | "Unix Makefiles" | undefined;
  /** Version text of rustc, with the target that it compiles for. */
  readonly rust: string;
}

/** @throws BuildError naming every missing tool. */
export function findToolchain(environment: BuildEnvironment): Toolchain {
  const env = environment.childEnv;
  const has = (...command: string[]): boolean => tryOutput(command, env) !== undefined;
  const missing: string[] = [];
  if (!has("cmake", "--version")) missing.push("cmake");
  if (!has("git", "--version")) missing.push("git");
  const rust = tryOutput(["rustc", "--version", "--verbose"], env)?.trim();
  if (rust === undefined || !has("cargo", "--version")) missing.push("Rust (cargo, rustc)");
  const windows = process.platform === "win32";
  const candidates = environment.cxx === undefined ? ["c++", "g++", "clang++"] : [environment.cxx];
  const found = candidates
    .map((name) => ({ name, version: tryOutput([name, "--version"], env) }))
    .find((candidate) => candidate.version !== undefined);
  if (found === undefined && !windows) missing.push(`a C++17 compiler (${candidates.join(", ")})`);
  const generator = has("ninja", "--version")
    ? "Ninja"
    : has("make", "--version")
      ? "Unix Makefiles"
      : undefined;
  if (generator === undefined && !windows) missing.push("ninja or make");
  if (missing.length > 0 || rust === undefined) {
    throw new BuildError(`Missing tools: ${missing.join("; ")}. "npm start" says how to get them.`);
  }
  return {
    compiler: found?.version?.split("\n")[0]?.trim() ?? "Visual Studio",
    target: found === undefined ? "" : (tryOutput([found.name, "-dumpmachine"], env)?.trim() ?? ""),
    generator: windows && found === undefined ? undefined : generator,
    rust,
  };
}
