/** Where hutch's kernels can be called, for tests that call them alone. */
import { suffix } from "bun:ffi";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { haveLibrary, libraryFolderOfTests } from "./native.ts";

/** ggml's backend for CPUs with AVX2, which has the kernels. */
export const kernelLibrary: string = join(libraryFolderOfTests, `libggml-cpu-haswell.${suffix}`);

const cpu = existsSync("/proc/cpuinfo") ? readFileSync("/proc/cpuinfo", "latin1") : "";

/** Whether the library is built and the CPU can run it. */
export const haveKernels: boolean = haveLibrary && existsSync(kernelLibrary) && / avx2 /.test(cpu);

/** Whether the engine uses them: newer CPUs get other backends, without them. */
export const engineHasKernels: boolean = haveKernels && !/ (avx512f|avx_vnni) /.test(cpu);
