/** Where hutch's kernels can be called, for tests that call them alone. */
import { suffix } from "bun:ffi";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { haveLibrary, libraryFolderOfTests } from "./native.ts";

/** ggml's backend for CPUs with AVX2, which has the kernels. */
export const kernelLibrary: string = join(libraryFolderOfTests, `libggml-cpu-haswell.${suffix}`);

/** Whether the library is built and the CPU can run it. */
export const haveKernels: boolean =
  haveLibrary &&
  existsSync(kernelLibrary) &&
  existsSync("/proc/cpuinfo") &&
  / avx2 /.test(readFileSync("/proc/cpuinfo", "latin1"));
