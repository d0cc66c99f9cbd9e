/** Which GPU backends a build gets. */
import { expect, test } from "bun:test";
import { chooseGpus, findGpus, type GpuFinding } from "../../../scripts/build/gpu.ts";

const findings: readonly GpuFinding[] = [
  { kind: "cuda", usable: true, reason: "nvcc 13.0" },
  { kind: "vulkan", usable: false, reason: "no glslc" },
  { kind: "metal", usable: false, reason: "only on macOS" },
  { kind: "hip", usable: false, reason: "no hipconfig" },
];

test("auto takes what has its toolchain", () => {
  expect(chooseGpus("auto", findings)).toEqual(["cuda"]);
});

test("none takes nothing", () => {
  expect(chooseGpus([], findings)).toEqual([]);
});

test("a named backend without a toolchain is an error with the reason", () => {
  expect(() => chooseGpus(["cuda", "vulkan"], findings)).toThrow(
    "--gpu cuda,vulkan cannot be built here (vulkan: no glslc)",
  );
});

test("without any toolchain each backend is skipped for a reason", () => {
  const found = findGpus({ PATH: "/nonexistent", CUDA_PATH: "/nonexistent/cuda" });
  const cuda = found.find((one) => one.kind === "cuda");
  expect(cuda).toEqual({
    kind: "cuda",
    usable: false,
    reason: "no nvcc on PATH or in /nonexistent/cuda/bin",
  });
  expect(found.map((one) => [one.usable, one.reason !== ""])).toEqual(
    found.map((one) => [one.usable, true]),
  );
});
