/** Keys of the build cache: what must and what must not make a build anew. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readBuildEnvironment } from "../../../scripts/build/environment.ts";
import { makePlan, type Plan } from "../../../scripts/build/plan.ts";

/** Files that the libraries are made of. */
const native = [
  "CMakeLists.txt",
  "cmake/a.cmake",
  "hutch.h",
  "internal.hpp",
  "a.cpp",
  "llguidance/src/lib.rs",
  "llguidance/Cargo.toml",
  "llguidance/Cargo.lock",
];
let ffi: string;

beforeEach(() => {
  ffi = mkdtempSync(join(tmpdir(), "hutch-plan-"));
  mkdirSync(join(ffi, "cmake"));
  for (const folder of ["src", "tests"]) {
    mkdirSync(join(ffi, "llguidance", folder), { recursive: true });
  }
  for (const file of [...native, "symbols.ts", "llguidance/tests/t.rs"]) {
    writeFileSync(join(ffi, file), file);
  }
});

afterEach(() => rmSync(ffi, { recursive: true }));

const source = { folder: "/s", version: "v1", commit: "abc", content: "abc", pinned: true };
const toolchain = {
  compiler: "c++ 12",
  target: "x86_64-linux-gnu",
  generator: "Ninja",
  rust: "rustc 1",
} as const;

interface Change {
  dev?: boolean;
  gpus?: readonly "cuda"[];
  source?: Partial<typeof source>;
  compiler?: string;
  rust?: string;
  env?: Record<string, string>;
}

function plan(change: Change = {}): Plan {
  return makePlan(
    { dev: change.dev ?? false },
    change.gpus ?? [],
    { ...source, ...change.source },
    {
      ...toolchain,
      compiler: change.compiler ?? toolchain.compiler,
      rust: change.rust ?? toolchain.rust,
    },
    readBuildEnvironment({ HUTCH_BUILD_CACHE: "/cache", ...change.env }),
    ffi,
  );
}

test("the same inputs give the same folders, below the cache", () => {
  expect(plan()).toEqual(plan());
  expect(plan().buildFolder).toBe(`/cache/build/${plan().buildKey}`);
  expect(plan().libraryFolder).toBe(`/cache/lib/${plan().libraryKey}`);
});

test.each([
  ["the kind of build", { dev: true }],
  ["a GPU backend", { gpus: ["cuda"] }],
  ["the compiler", { compiler: "c++ 13" }],
  ["compiler flags", { env: { CXXFLAGS: "-g" } }],
  ["another source", { source: { folder: "/other", commit: "def", content: "def" } }],
] as const satisfies readonly (readonly [string, Change])[])("%s compiles anew", (_, change) => {
  expect(plan(change).buildKey).not.toBe(plan().buildKey);
});

test("CUDAARCHS says what the CUDA backend is for, and nothing where that is not built", () => {
  const env = { CUDAARCHS: "90-real" };
  const gpus = ["cuda"] as const;
  expect(plan({ gpus, env }).flags.CMAKE_CUDA_ARCHITECTURES).toBe("90-real");
  expect(plan({ gpus, env }).buildKey).not.toBe(plan({ gpus }).buildKey);
  expect(plan({ env })).toEqual(plan());
});

test("a changed file of the same source tree compiles in the same folder", () => {
  const changed = plan({ source: { content: "changed" } });
  expect(changed.buildKey).toBe(plan().buildKey);
  expect(changed.libraryKey).not.toBe(plan().libraryKey);
});

test.each(native)("a change of ffi/%s links anew, with the objects of llama.cpp kept", (file) => {
  const before = plan();
  writeFileSync(join(ffi, file), "changed");
  expect(plan().buildKey).toBe(before.buildKey);
  expect(plan().libraryKey).not.toBe(before.libraryKey);
});

test.each(["symbols.ts", "llguidance/tests/t.rs"])(
  "ffi/%s is no matter of the libraries",
  (file) => {
    const before = plan();
    writeFileSync(join(ffi, file), "changed");
    expect(plan()).toEqual(before);
  },
);

test("another Rust compiler builds the constraint engine anew, not llama.cpp", () => {
  const changed = plan({ rust: "rustc 2" });
  expect(changed.buildKey).toBe(plan().buildKey);
  expect(changed.libraryKey).not.toBe(plan().libraryKey);
  expect(changed.crateFolder).not.toBe(plan().crateFolder);
});

test("git's variables do not reach the build's programs", () => {
  const { childEnv } = readBuildEnvironment({ GIT_DIR: "/x", PATH: "/bin" });
  expect(childEnv).toEqual({ PATH: "/bin" });
});
