/** Who may import whom (ARCHITECTURE.md), each ban with its reason. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const root = resolve(import.meta.dir, "../..");

interface Ban {
  /** Files the ban holds for: a folder or a file. */
  readonly from: string;
  /** What they must not import: folders, files, or packages. */
  readonly to: readonly string[];
  /** Exceptions among the importing files. */
  readonly except?: readonly string[];
  readonly reason: string;
}

const bans: readonly Ban[] = [
  {
    from: "src/model",
    to: ["src/server", "src/cli", "src/engine", "src/scheduler", "src/worker", "ffi", "elysia"],
    reason:
      "models at rest know neither HTTP routes nor native code: they are tested and reused without both; registry/ is a client and uses fetch",
  },
  {
    from: "src/chat",
    to: [
      "src/server",
      "src/cli",
      "src/scheduler",
      "src/engine/process.ts",
      "src/engine/runner",
      "ffi",
      "elysia",
    ],
    reason: "prompts and outputs are pure text",
  },
  {
    from: "src/schema",
    to: [
      "src/server",
      "src/cli",
      "src/scheduler",
      "src/model",
      "src/engine/process.ts",
      "src/engine/runner",
      "ffi",
      "elysia",
    ],
    reason: "what an answer is to be is decided without HTTP and native code",
  },
  {
    from: "src/scheduler",
    to: [
      "src/server",
      "src/cli",
      "src/model",
      "src/chat",
      "ffi",
      "src/engine/process.ts",
      "src/engine/runner",
      "elysia",
    ],
    reason: "policy is tested without models, engines and HTTP",
  },
  {
    from: "src/server",
    to: [
      "src/cli",
      "ffi",
      "src/engine/process.ts",
      "src/engine/fake.ts",
      "src/engine/runner",
      "src/worker",
    ],
    reason: "which engine serves is decided in cli/local.ts alone",
  },
  {
    from: "src/engine",
    to: ["src/server", "src/cli", "src/model", "src/chat", "src/scheduler", "elysia"],
    reason: "a runner starts in milliseconds because it loads only what it needs",
  },
  {
    from: "src/worker",
    to: ["src/server", "src/cli", "src/engine", "src/chat", "src/scheduler", "elysia"],
    reason: "a worker knows model files and native code, nothing of requests",
  },
  {
    from: "src/worker/process.ts",
    to: ["ffi", "src/worker/main.ts"],
    reason: "native code stays in children: an abort must not end the server",
  },
  {
    from: "src/engine/process.ts",
    to: ["ffi"],
    reason: "native code stays in children: an abort must not end the server",
  },
  { from: "src", to: ["bun:ffi"], reason: "only ffi/ touches native code" },
  {
    from: "src/config",
    to: ["src/server", "src/cli", "src/model", "src/chat", "src/scheduler", "src/engine", "ffi"],
    reason: "everybody uses the configuration",
  },
];

const transpiler = new Bun.Transpiler({ loader: "ts" });

/** What a file imports at run time, relative to the root where it is a file of ours. */
function importsOf(file: string): string[] {
  const source = readFileSync(join(root, file), "utf8");
  return transpiler
    .scanImports(source)
    .map(({ path }) =>
      path.startsWith(".") ? relative(root, resolve(root, dirname(file), path)) : path,
    );
}

const files = [...new Bun.Glob("src/**/*.ts").scanSync({ cwd: root })].sort();
const within = (path: string, place: string) => path === place || path.startsWith(`${place}/`);

describe("imports", () => {
  for (const { from, to, except = [], reason } of bans) {
    test(`${from} imports none of ${to.join(", ")}: ${reason}`, () => {
      const wrong = files
        .filter((file) => within(file, from) && !except.includes(file))
        .flatMap((file) =>
          importsOf(file)
            .filter((path) => to.some((place) => within(path, place)))
            .map((path) => `${file} imports ${path}`),
        );
      expect(wrong).toEqual([]);
    });
  }

  test("every place that a ban names exists", () => {
    const places = bans.flatMap(({ from, to }) => [from, ...to]);
    const ours = places.filter((place) => place.startsWith("src") || place === "ffi");
    expect(ours.filter((place) => !existsSync(join(root, place)))).toEqual([]);
  });

  test("only config/env.ts reads the environment", () => {
    const readers = files.filter((file) =>
      /process\.env\b/.test(readFileSync(join(root, file), "utf8")),
    );
    expect(readers).toEqual(["src/config/env.ts"]);
  });

  test("only main.ts ends the process", () => {
    const enders = files.filter((file) =>
      /process\.exit\(/.test(readFileSync(join(root, file), "utf8")),
    );
    expect(enders).toEqual(["src/main.ts"]);
  });
});
