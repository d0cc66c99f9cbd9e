/** The variables that the build reads, in one place; the rest of the build takes plain values. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

export interface BuildEnvironment {
  /** Folder of everything fetched and compiled (`HUTCH_BUILD_CACHE`). */
  readonly cache: string;
  /** A source tree to build instead of the pinned one (`HUTCH_LLAMA_SOURCE`). */
  readonly llamaSource: string | undefined;
  /** File with the secret key that signs a release (`HUTCH_SIGNING_KEY`). */
  readonly signingKey: string | undefined;
  readonly cc: string | undefined;
  readonly cxx: string | undefined;
  /** Flags that CMake takes from the environment when it configures; part of every key. */
  readonly compilerFlags: Readonly<Record<"CFLAGS" | "CXXFLAGS" | "LDFLAGS", string>>;
  /** GPUs that the CUDA backend is compiled for, as CMake's variable names them (`CUDAARCHS`); undefined = ggml's choice. */
  readonly cudaArchitectures: string | undefined;
  /** Flags that cargo takes from the environment (`RUSTFLAGS`); part of the keys of what it compiles. */
  readonly rustFlags: string;
  /** For child processes: without git's variables, which would point git at another repository. */
  readonly childEnv: Readonly<Record<string, string>>;
}

export function readBuildEnvironment(
  env: Readonly<Record<string, string | undefined>> = process.env,
): BuildEnvironment {
  const given = (name: string): string | undefined => env[name]?.trim() || undefined;
  const cache =
    given("HUTCH_BUILD_CACHE") ??
    join(given("XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "hutch-build");
  const source = given("HUTCH_LLAMA_SOURCE");
  const signingKey = given("HUTCH_SIGNING_KEY");
  const childEnv: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !name.startsWith("GIT_")) childEnv[name] = value;
  }
  return {
    cache: resolve(cache),
    llamaSource: source === undefined ? undefined : resolve(source),
    signingKey: signingKey === undefined ? undefined : resolve(signingKey),
    cc: given("CC"),
    cxx: given("CXX"),
    compilerFlags: {
      CFLAGS: given("CFLAGS") ?? "",
      CXXFLAGS: given("CXXFLAGS") ?? "",
      LDFLAGS: given("LDFLAGS") ?? "",
    },
    cudaArchitectures: given("CUDAARCHS"),
    rustFlags: given("RUSTFLAGS") ?? "",
    childEnv,
  };
}
