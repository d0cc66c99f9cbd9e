/**
 * The tools that a machine needs before anything is built, all looked for at once: whoever lacks
 * three is told so once, with the commands that install them.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "./steps.mjs";

const windows = process.platform === "win32";

/** Version text of a program, or undefined when it is missing or does not run. */
function versionOf(command, args = ["--version"], input) {
  const result = spawnSync(command, args, { encoding: "utf8", input, timeout: 20_000 });
  return result.status === 0 ? `${result.stdout}${result.stderr}` : undefined;
}

/** Whether the first `1.2` in a text is at least that version. */
export function atLeast(text, major, minor) {
  const found = /(\d+)\.(\d+)/.exec(text ?? "");
  if (!found) return false;
  return Number(found[1]) > major || (Number(found[1]) === major && Number(found[2]) >= minor);
}

/** A compiler counts when it compiles C++17, whatever its version. */
function compilesCpp17() {
  if (windows && process.env.CXX === undefined) {
    const root = process.env["ProgramFiles(x86)"] ?? "C:\\Program Files (x86)";
    return existsSync(join(root, "Microsoft Visual Studio", "Installer", "vswhere.exe"));
  }
  const program =
    "#include <optional>\nint main() { if (std::optional<int> x = 0; x) return *x; }\n";
  const compilers = process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"];
  const args = ["-std=c++17", "-fsyntax-only", "-x", "c++", "-"];
  return compilers.some((name) => versionOf(name, args, program) !== undefined);
}

/** Packages by system; Debian's `rustup` brings no compiler by itself. */
const tools = [
  {
    name: "Node.js 20 or later",
    found: () => Number(process.versions.node.split(".")[0]) >= 20,
    packages: {
      debian: "nodejs npm",
      fedora: "nodejs npm",
      macos: "node",
      windows: "OpenJS.NodeJS",
    },
  },
  {
    name: "git",
    found: () => versionOf("git") !== undefined,
    packages: { debian: "git", fedora: "git", macos: "git", windows: "Git.Git" },
  },
  {
    name: "a C++17 compiler",
    found: compilesCpp17,
    packages: {
      debian: "g++",
      fedora: "gcc-c++",
      macos: "llvm",
      windows: "Microsoft.VisualStudio.2022.BuildTools",
    },
  },
  {
    name: "CMake 3.18 or later",
    found: () => atLeast(versionOf("cmake"), 3, 18),
    packages: { debian: "cmake", fedora: "cmake", macos: "cmake", windows: "Kitware.CMake" },
  },
  {
    name: "Ninja or make",
    found: () => windows || versionOf("ninja") !== undefined || versionOf("make") !== undefined,
    packages: {
      debian: "ninja-build",
      fedora: "ninja-build",
      macos: "ninja",
      windows: "Ninja-build.Ninja",
    },
  },
  {
    name: "Rust 1.87 or later (cargo, rustc)",
    found: () => versionOf("cargo") !== undefined && atLeast(versionOf("rustc"), 1, 87),
    packages: { debian: "rustup", fedora: "rust cargo", macos: "rust", windows: "Rustlang.Rustup" },
  },
];

/** Debian 13 and Ubuntu 24.04 have the package `rustup`; elsewhere Rust's own installer brings it. */
const debianRust =
  "{ sudo apt-get install rustup && rustup default stable || curl -sSf https://sh.rustup.rs | sh -s -- -y; }";

/** The commands that install these tools, one line a system. */
function installCommands(missing) {
  const list = (system) => missing.map((tool) => tool.packages[system]);
  const packages = list("debian").filter((name) => name !== "rustup");
  const debian = [
    ...(packages.length > 0 ? [`sudo apt-get install ${packages.join(" ")}`] : []),
    ...(list("debian").includes("rustup") ? [debianRust] : []),
  ];
  return [
    `  Debian, Ubuntu:  ${debian.join(" && ")}`,
    `  Fedora:          sudo dnf install ${list("fedora").join(" ")}`,
    `  macOS:           brew install ${list("macos").join(" ")}`,
    `  Windows:         winget install ${list("windows").join(" ")}`,
  ].join("\n");
}

/** @throws Failure naming all tools that are missing. */
export function checkTools(known = tools) {
  const missing = known.filter((tool) => !tool.found());
  if (missing.length === 0) return;
  const names = missing.map((tool) => `  - ${tool.name}`).join("\n");
  throw new Failure(
    `These tools are missing:\n${names}\n\nInstall them with\n${installCommands(missing)}`,
  );
}
