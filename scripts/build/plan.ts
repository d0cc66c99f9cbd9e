/**
 * What is to be built, as plain values, and the keys that say whether it has been built already.
 * Two keys: `buildKey` names the folder of compiled objects (source, flags, compiler), `libraryKey`
 * the finished libraries (that, and the contents of source and ffi/). So a change in ffi/ compiles
 * the shim alone, and no change compiles nothing.
 */
import { cpus } from "node:os";
import { join } from "node:path";
import type { BuildEnvironment } from "./environment.ts";
import { filesBelow, hashFiles, sha256 } from "./files.ts";
import type { BuildOptions, GpuKind } from "./options.ts";
import type { Source } from "./source.ts";
import type { Toolchain } from "./toolchain.ts";

/** Raise when the layout of the cache changes in a way that older builds do not know. */
const cacheSchema = 1;

export interface Plan {
  readonly flags: Readonly<Record<string, string>>;
  readonly gpus: readonly GpuKind[];
  readonly buildKey: string;
  readonly libraryKey: string;
  /** Contents of the shim's sources when the plan was made. */
  readonly ffiHash: string;
  /** Compiled objects. */
  readonly buildFolder: string;
  /** Cargo's target folder. */
  readonly crateFolder: string;
  /** Finished libraries, complete once its manifest.json stands. */
  readonly libraryFolder: string;
  readonly peersFolder: string;
}

/** CMake options that differ between builds; the others are in ffi/cmake/hutch-options.cmake. */
function cmakeFlags(
  dev: boolean,
  gpus: readonly GpuKind[],
  source: Pick<Source, "version" | "commit">,
  cudaArchitectures: string | undefined,
): Record<string, string> {
  const onOff = (value: boolean): string => (value ? "ON" : "OFF");
  return {
    HUTCH_NATIVE: onOff(dev),
    GGML_CPU_ALL_VARIANTS: onOff(!dev && allVariantsKnown()),
    HUTCH_STRIP: onOff(!dev),
    GGML_CUDA: onOff(gpus.includes("cuda")),
    ...(gpus.includes("cuda") && cudaArchitectures !== undefined
      ? { CMAKE_CUDA_ARCHITECTURES: cudaArchitectures }
      : {}),
    GGML_VULKAN: onOff(gpus.includes("vulkan")),
    GGML_METAL: onOff(gpus.includes("metal")),
    GGML_HIP: onOff(gpus.includes("hip")),
    // Otherwise asked of whatever git repository the folder happens to lie in.
    LLAMA_BUILD_NUMBER: "0",
    LLAMA_BUILD_COMMIT: source.commit.slice(0, 9),
  };
}

/** ggml lists no CPU variants for Windows on ARM; it gets one that runs on all. */
function allVariantsKnown(): boolean {
  return !(process.platform === "win32" && process.arch !== "x64");
}

export function makePlan(
  options: Pick<BuildOptions, "dev">,
  gpus: readonly GpuKind[],
  source: Source,
  toolchain: Toolchain,
  environment: BuildEnvironment,
  ffiFolder: string,
): Plan {
  const flags = cmakeFlags(options.dev, gpus, source, environment.cudaArchitectures);
  const { rust: rustCompiler, ...cxxToolchain } = toolchain;
  const buildKey = shortHash({
    cacheSchema,
    flags,
    toolchain: cxxToolchain,
    compilerFlags: environment.compilerFlags,
    compilers: [environment.cc, environment.cxx],
    platform: [process.platform, process.arch],
    source: source.folder,
    cpu: options.dev ? cpuIdentity() : "",
  });
  const rust = { compiler: rustCompiler, flags: environment.rustFlags };
  const ffiHash = hashFfi(ffiFolder);
  const libraryKey = shortHash({ buildKey, content: source.content, ffi: ffiHash, rust });
  const crateKey = shortHash({ cacheSchema, rust, platform: [process.platform, process.arch] });
  return {
    flags,
    gpus,
    buildKey,
    libraryKey,
    ffiHash,
    buildFolder: join(environment.cache, "build", buildKey),
    crateFolder: join(environment.cache, "crate", crateKey),
    libraryFolder: join(environment.cache, "lib", libraryKey),
    peersFolder: join(environment.cache, "peers", shortHash({ buildKey, c: source.content })),
  };
}

/**
 * What the compiled shim, its CMake project and the constraint engine depend on; TypeScript in ffi/,
 * the crate's tests and examples are no part of it.
 */
export function hashFfi(folder: string): string {
  const files = filesBelow(folder, ["target", "tests", "examples"]).filter((file) =>
    /\.(?:cpp|h|hpp|cmake|map|rs)$|CMakeLists\.txt$|Cargo\.(?:toml|lock)$/.test(file),
  );
  return hashFiles(folder, files);
}

/** `-march=native` code must not be taken from a shared cache by another kind of CPU. */
function cpuIdentity(): string {
  return cpus()[0]?.model ?? "";
}

function shortHash(value: unknown): string {
  return sha256(JSON.stringify(value)).slice(0, 16);
}
