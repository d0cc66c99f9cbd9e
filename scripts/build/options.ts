/** The command line of build.ts. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { BuildError } from "./failure.ts";

export const gpuKinds = ["cuda", "vulkan", "metal", "hip"] as const;
export type GpuKind = (typeof gpuKinds)[number];

export interface BuildOptions {
  readonly help: boolean;
  /** Stop after dist/lib. */
  readonly nativeOnly: boolean;
  /** One CPU backend, for this machine alone. */
  readonly dev: boolean;
  /** `auto`: whatever has its toolchain here; a list: exactly these, or an error. */
  readonly gpu: "auto" | readonly GpuKind[];
  readonly jobs: number;
  /** Forget compiled objects and results, and build anew. */
  readonly clean: boolean;
  /** Also the programs that bench/ compares with. */
  readonly peers: boolean;
  /** Archives for these targets (`all`, `native`, a list) besides dist/hutch; undefined: none. */
  readonly release: string | undefined;
}

export const help = `Builds hutch: the native libraries, then dist/hutch.

Usage: bun build.ts [flags]

  --native-only    only the libraries (dist/lib)
  --dev            libraries for this machine's CPU alone: faster to build, not to be handed on
  --gpu LIST       auto (default): every GPU backend whose toolchain is found;
                   none; or a list of ${gpuKinds.join(", ")}: a missing one is an error
  --jobs N         compile N files at once (default: all CPUs)
  --clean          discard compiled objects first
  --peers          also llama-bench, llama-batched-bench, llama-server (dist/peers), for bench/
  --release        also archives, checksums and install.sh (dist/release)
  --targets LIST   what --release is made for: all (default), native, or a list like linux-x64
  --help           this text

Variables: HUTCH_BUILD_CACHE (default ~/.cache/hutch-build), HUTCH_LLAMA_SOURCE (a source tree to
build instead of the pinned one), HUTCH_SIGNING_KEY (file with the key that signs a release), CC, CXX,
CFLAGS, CXXFLAGS, LDFLAGS, CUDAARCHS (GPUs that the CUDA backend is for, like 90-real; default: all
that ggml names). See docs/building.md.
`;

/** @throws BuildError naming the flag that is unknown or has an unusable value. */
export function parseBuildOptions(args: readonly string[]): BuildOptions {
  const values = parse(args);
  if (values.targets !== undefined && !values.release) {
    throw new BuildError("--targets goes with --release only");
  }
  if (values.release && (values.dev || values["native-only"])) {
    throw new BuildError(
      "--release is for all CPUs, and of executables: not with --dev, --native-only",
    );
  }
  return {
    help: values.help ?? false,
    nativeOnly: values["native-only"] ?? false,
    dev: values.dev ?? false,
    gpu: parseGpu(values.gpu ?? "auto"),
    jobs: parseJobs(values.jobs),
    clean: values.clean ?? false,
    peers: values.peers ?? false,
    release: values.release ? (values.targets ?? "all") : undefined,
  };
}

function parse(args: readonly string[]) {
  const flag = { type: "boolean" } as const;
  const text = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { ...flag, short: "h" },
        "native-only": flag,
        dev: flag,
        gpu: text,
        jobs: { ...text, short: "j" },
        clean: flag,
        peers: flag,
        release: flag,
        targets: text,
      },
    }).values;
  } catch (error) {
    throw new BuildError(`${(error as Error).message}\nSee bun build.ts --help.`);
  }
}

function parseGpu(text: string): "auto" | readonly GpuKind[] {
  if (text === "auto") return "auto";
  if (text === "none") return [];
  const kinds: GpuKind[] = [];
  for (const word of text.split(",").map((part) => part.trim())) {
    const kind = gpuKinds.find((known) => known === word);
    if (kind === undefined) {
      throw new BuildError(
        `--gpu "${text}": "${word}" is none of auto, none, ${gpuKinds.join(", ")}`,
      );
    }
    if (!kinds.includes(kind)) kinds.push(kind);
  }
  return kinds;
}

function parseJobs(text: string | undefined): number {
  if (text === undefined) return availableParallelism();
  const jobs = Number(text);
  if (!/^\d+$/.test(text) || jobs < 1 || jobs > 1024) {
    throw new BuildError(`--jobs "${text}": expected a number from 1 to 1024`);
  }
  return jobs;
}
