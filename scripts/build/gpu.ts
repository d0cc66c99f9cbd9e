/** Which GPU backends can be built here: each toolchain is looked for, with the reason when it is not there. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { BuildError } from "./failure.ts";
import { type GpuKind, gpuKinds } from "./options.ts";
import { tryOutput } from "./run.ts";

export interface GpuFinding {
  readonly kind: GpuKind;
  readonly usable: boolean;
  /** The version found, or why it cannot be used. */
  readonly reason: string;
}

type Environment = Readonly<Record<string, string>>;

function findCuda(env: Environment): Omit<GpuFinding, "kind"> {
  const root = env.CUDA_PATH ?? env.CUDA_HOME ?? "/usr/local/cuda";
  for (const nvcc of ["nvcc", join(root, "bin", "nvcc")]) {
    const version = /release ([\d.]+)/.exec(tryOutput([nvcc, "--version"], env) ?? "")?.[1];
    if (version !== undefined) return { usable: true, reason: `nvcc ${version}` };
  }
  return { usable: false, reason: `no nvcc on PATH or in ${join(root, "bin")}` };
}

/** ggml's Vulkan needs the shader compiler, the loader and headers of 1.3 or later. */
function findVulkan(env: Environment): Omit<GpuFinding, "kind"> {
  const sdk = env.VULKAN_SDK;
  const glslc = ["glslc", ...(sdk ? [join(sdk, "bin", "glslc")] : [])].find(
    (program) => tryOutput([program, "--version"], env) !== undefined,
  );
  if (glslc === undefined) return { usable: false, reason: "no glslc on PATH or in VULKAN_SDK" };
  const loader = tryOutput(["pkg-config", "--modversion", "vulkan"], env)?.trim();
  if (loader !== undefined) return { usable: true, reason: `Vulkan ${loader}, ${glslc}` };
  if (sdk !== undefined && existsSync(join(sdk, "include", "vulkan", "vulkan.h"))) {
    return { usable: true, reason: `Vulkan of ${sdk}` };
  }
  return { usable: false, reason: "no Vulkan headers and loader (pkg-config vulkan, VULKAN_SDK)" };
}

function findMetal(env: Environment): Omit<GpuFinding, "kind"> {
  if (process.platform !== "darwin") return { usable: false, reason: "only on macOS" };
  const sdk = tryOutput(["xcrun", "--show-sdk-version"], env)?.trim();
  if (sdk === undefined) return { usable: false, reason: "no SDK found by xcrun" };
  return { usable: true, reason: `macOS SDK ${sdk}` };
}

function findHip(env: Environment): Omit<GpuFinding, "kind"> {
  const root = env.ROCM_PATH ?? env.HIP_PATH ?? "/opt/rocm";
  for (const hipconfig of ["hipconfig", join(root, "bin", "hipconfig")]) {
    const version = tryOutput([hipconfig, "--version"], env)?.trim();
    if (version !== undefined) return { usable: true, reason: `ROCm ${version}` };
  }
  return { usable: false, reason: `no hipconfig on PATH or in ${join(root, "bin")}` };
}

const finders = {
  cuda: findCuda,
  vulkan: findVulkan,
  metal: findMetal,
  hip: findHip,
} as const satisfies Record<GpuKind, (env: Environment) => Omit<GpuFinding, "kind">>;

/** Looks at every kind, wanted or not: the user is told what was skipped. */
export function findGpus(env: Environment): readonly GpuFinding[] {
  return gpuKinds.map((kind) => ({ kind, ...finders[kind](env) }));
}

/**
 * The backends to build.
 * @throws BuildError when one that was named has no toolchain here.
 */
export function chooseGpus(
  wanted: "auto" | readonly GpuKind[],
  findings: readonly GpuFinding[],
): readonly GpuKind[] {
  if (wanted !== "auto") {
    const missing = findings.filter((one) => wanted.includes(one.kind) && !one.usable);
    if (missing.length > 0) {
      const reasons = missing.map((one) => `${one.kind}: ${one.reason}`).join("; ");
      throw new BuildError(`--gpu ${wanted.join(",")} cannot be built here (${reasons})`);
    }
    return gpuKinds.filter((kind) => wanted.includes(kind));
  }
  const usable = findings.filter((one) => one.usable).map((one) => one.kind);
  // ROCm's and NVIDIA's compilers exclude each other only on one machine's hardware, not in a build.
  return usable;
}
