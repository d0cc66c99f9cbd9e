/** What a release is made for: systems and processors that Bun has a runtime of. Pure. */
import { BuildError } from "../failure.ts";

export interface Target {
  /** Part of the archive's name, which install.sh looks for. */
  readonly name: string;
  /** Bun's name of the runtime. */
  readonly bun: Bun.Build.CompileTarget;
  readonly platform: "linux" | "darwin" | "win32";
  readonly arch: "x64" | "arm64";
  readonly libc?: "glibc" | "musl";
}

/** One for all x64 processors: since Bun 1.4.5 its runtimes with and without AVX2 are the same. */
export const targets: readonly Target[] = [
  { name: "linux-x64", bun: "bun-linux-x64", platform: "linux", arch: "x64", libc: "glibc" },
  { name: "linux-arm64", bun: "bun-linux-arm64", platform: "linux", arch: "arm64", libc: "glibc" },
  {
    name: "linux-x64-musl",
    bun: "bun-linux-x64-musl",
    platform: "linux",
    arch: "x64",
    libc: "musl",
  },
  {
    name: "linux-arm64-musl",
    bun: "bun-linux-arm64-musl",
    platform: "linux",
    arch: "arm64",
    libc: "musl",
  },
  { name: "darwin-x64", bun: "bun-darwin-x64", platform: "darwin", arch: "x64" },
  { name: "darwin-arm64", bun: "bun-darwin-arm64", platform: "darwin", arch: "arm64" },
  { name: "windows-x64", bun: "bun-windows-x64", platform: "win32", arch: "x64" },
  { name: "windows-arm64", bun: "bun-windows-arm64", platform: "win32", arch: "arm64" },
];

/** The C library of this machine's system. */
export interface Host {
  readonly platform: string;
  readonly arch: string;
  /** glibc's version, undefined where there is none. */
  readonly glibc: string | undefined;
}

/** Whether libraries that were built on a host run on a target. */
export function runsLibrariesOf(target: Target, { platform, arch, glibc }: Host): boolean {
  if (target.platform !== platform || target.arch !== arch) return false;
  return target.libc === undefined || (target.libc === "glibc") === (glibc !== undefined);
}

/** @param text `all`, `native` or a list of names. @throws BuildError naming one that is unknown */
export function chooseTargets(text: string, host: Host): readonly Target[] {
  if (text === "all") return targets;
  if (text === "native") return targets.filter((target) => runsLibrariesOf(target, host));
  return text.split(",").map((word) => {
    const found = targets.find(({ name }) => name === word.trim());
    if (found !== undefined) return found;
    const known = targets.map(({ name }) => name).join(", ");
    throw new BuildError(`--targets "${text}": "${word.trim()}" is none of all, native, ${known}`);
  });
}
