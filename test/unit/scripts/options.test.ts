/** The build's command line. */
import { expect, test } from "bun:test";
import { BuildError } from "../../../scripts/build/failure.ts";
import { parseBuildOptions } from "../../../scripts/build/options.ts";

const defaults = {
  help: false,
  nativeOnly: false,
  dev: false,
  gpu: "auto",
  jobs: expect.any(Number),
  clean: false,
  peers: false,
  release: undefined,
} as const;

test("without flags everything is built, with every GPU backend that can be", () => {
  expect(parseBuildOptions([])).toEqual(defaults);
});

test("each flag sets its own option", () => {
  expect(
    parseBuildOptions(["--native-only", "--dev", "--jobs", "3", "--clean", "--peers"]),
  ).toEqual({ ...defaults, nativeOnly: true, dev: true, jobs: 3, clean: true, peers: true });
});

test("a release is for all targets, unless they are named", () => {
  expect(parseBuildOptions(["--release"]).release).toBe("all");
  expect(parseBuildOptions(["--release", "--targets", "native"]).release).toBe("native");
});

test.each([
  ["auto", "auto"],
  ["none", []],
  ["cuda", ["cuda"]],
  ["vulkan, cuda,vulkan", ["vulkan", "cuda"]],
] as const)("--gpu %p means %p", (text, gpu) => {
  expect(parseBuildOptions(["--gpu", text]).gpu).toEqual(gpu as never);
});

test.each([
  [["--fast"], "--fast"],
  [["extra"], "extra"],
  [["--gpu", "cuda,opencl"], '"opencl"'],
  [["--jobs", "0"], '--jobs "0"'],
  [["--jobs", "many"], '--jobs "many"'],
  [["--targets", "all"], "--targets"],
  [["--release", "--dev"], "--dev"],
])("%p is refused by name", (args, named) => {
  expect(() => parseBuildOptions(args)).toThrow(BuildError);
  expect(() => parseBuildOptions(args)).toThrow(named);
});
