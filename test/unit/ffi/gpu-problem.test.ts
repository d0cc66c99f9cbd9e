/** Why no GPU is used although a backend for one lies there, from what the backends say. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gpuProblem } from "../../../ffi/gpu-backends.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hutch-gpu-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Backends that have said `before`, and say `when` asked for by name. */
function backends(hasGpu: boolean, loads: boolean, before = "", when = "") {
  let log = before;
  return {
    hasGpu: () => hasGpu,
    loadBackend: () => {
      log += when;
      return loads;
    },
    drainLog: () => {
      const said = log;
      log = "";
      return said;
    },
  };
}

test("there is none without a backend, and none with a GPU", () => {
  expect(gpuProblem(backends(false, false), folder)).toBeUndefined();
  writeFileSync(join(folder, "libggml-cuda.so"), "");
  expect(gpuProblem(backends(true, true), folder)).toBeUndefined();
});

test("is what the backend said", () => {
  writeFileSync(join(folder, "libggml-cuda.so"), "");
  const missing = "load_backend: failed to load libggml-cuda.so: libcublas.so.13: cannot open\n";
  expect(gpuProblem(backends(false, false, "", missing), folder)).toBe(
    `libggml-cuda.so: ${missing.trim()}`,
  );
  const driver = "ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected\n";
  expect(gpuProblem(backends(false, true, driver), folder)).toContain("no CUDA-capable device");
});

test("is said also where the backend says nothing", () => {
  writeFileSync(join(folder, "libggml-vulkan.so"), "");
  expect(gpuProblem(backends(false, true), folder)).toBe("libggml-vulkan.so: it sees no GPU");
  expect(gpuProblem(backends(false, false), folder)).toBe("libggml-vulkan.so: it cannot be loaded");
});
