/** What is in an archive: the executable with its papers, or the libraries of a GPU backend. */
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { commands } from "../../../src/cli/commands.ts";
import { completionScripts } from "../../../src/cli/completion/scripts.ts";
import { manPage } from "../../../src/cli/man.ts";
import type { GpuKind } from "../options.ts";
import type { ArchiveFile } from "./archive.ts";
import type { Target } from "./targets.ts";

/** Why a hutch of one of these platforms runs no models, in the words that its users read. */
export function missingLibraries({ name }: Target): string {
  return `made on another platform, without the libraries that run models: the hutch for ${name} is a client of other servers (HUTCH_HOST), and serves with --fake`;
}

/**
 * The archive of an executable. Man page and completions come from the same table of commands as it.
 * @param root of the checkout
 * @param engine whether the executable has libraries
 */
export function executableFiles(
  root: string,
  folder: string,
  executable: string,
  target: Target,
  engine: boolean,
): readonly ArchiveFile[] {
  const file = (name: string) => new Uint8Array(readFileSync(join(root, name)));
  const { bash, zsh, fish } = completionScripts;
  const files: readonly ArchiveFile[] = [
    {
      path: basename(executable),
      data: new Uint8Array(readFileSync(executable)),
      executable: true,
    },
    { path: "LICENSE", data: file("LICENSE") },
    { path: "THIRD_PARTY.md", data: file("THIRD_PARTY.md") },
    { path: "share/man/man1/hutch.1", data: manPage(commands) },
    { path: "share/bash-completion/completions/hutch", data: bash },
    { path: "share/zsh/site-functions/_hutch", data: zsh },
    { path: "share/fish/vendor_completions.d/hutch.fish", data: fish },
    ...(engine ? [] : [{ path: "CLIENT-ONLY", data: `This is ${missingLibraries(target)}.\n` }]),
  ];
  return files.map((one) => ({ ...one, path: `${folder}/${one.path}` }));
}

/** The libraries of GPU backends among built ones, by kind. */
export function gpuFiles(
  names: readonly string[],
  libraries: string,
  folder: string,
): ReadonlyMap<GpuKind, readonly ArchiveFile[]> {
  const found = new Map<GpuKind, ArchiveFile[]>();
  for (const name of names) {
    const kind = /ggml-(cuda|vulkan|metal|hip)\./.exec(name)?.[1] as GpuKind | undefined;
    if (kind === undefined) continue;
    const data = new Uint8Array(readFileSync(join(libraries, name)));
    found.set(kind, [...(found.get(kind) ?? []), { path: `${folder}/${name}`, data }]);
  }
  return found;
}

/** The newest glibc that libraries ask for, `2.36`; undefined where they ask for none. */
export function neededGlibc(libraries: readonly Uint8Array[]): string | undefined {
  const minors = libraries.flatMap((bytes) =>
    [
      ...Buffer.from(bytes)
        .toString("latin1")
        .matchAll(/GLIBC_2\.(\d+)/g),
    ].map((match) => Number(match[1])),
  );
  return minors.length === 0 ? undefined : `2.${Math.max(...minors)}`;
}
