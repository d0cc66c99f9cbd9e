/** A folder of releases as install.sh fetches them, with shell scripts for executables. */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { sha256 } from "../../scripts/build/files.ts";
import { tarGz } from "../../scripts/build/release/archive.ts";
import { installerText } from "../../scripts/build/release/installer.ts";
import { minisign, readSigningKey } from "../../scripts/build/release/minisign.ts";
import { signingKeyFile } from "./signing-key.ts";

const root = resolve(import.meta.dir, "../..");

export interface MirrorOptions {
  readonly versions?: readonly string[];
  /** Ends of archives' names: targets, with `-client` or a GPU backend behind. */
  readonly targets?: readonly string[];
  readonly neededGlibc?: string;
  readonly signed?: boolean;
  /** Content of the executable, instead of one that greets. */
  readonly script?: string;
}

/** What an executable of these releases prints, whatever it is asked. */
export const greeting = (version: string) => `hutch ${version}`;

async function archive(version: string, target: string, own?: string): Promise<Uint8Array> {
  const platform = /^(\w+-(?:x64|arm64)(?:-musl)?)/.exec(target)?.[1] ?? target;
  const folder = `hutch-${version}-${platform}`;
  const gpu = /-(cuda|vulkan)$/.exec(target)?.[1];
  if (gpu !== undefined) return tarGz([{ path: `${folder}/libggml-${gpu}.so`, data: gpu }]);
  const script = own ?? `#!/bin/sh\necho "${greeting(version)}"\n`;
  return tarGz([
    { path: `${folder}/hutch`, data: script, executable: true },
    { path: `${folder}/share/man/man1/hutch.1`, data: "page" },
    { path: `${folder}/share/bash-completion/completions/hutch`, data: "complete" },
    { path: `${folder}/share/zsh/site-functions/_hutch`, data: "complete" },
    { path: `${folder}/share/fish/vendor_completions.d/hutch.fish`, data: "complete" },
  ]);
}

/** This machine's platform as archives name it; the musl of the machine is nobody's in these tests. */
export const ownPlatform = `${process.platform}-${process.arch}`;

/** Fills a folder. Returns the path of its install.sh. */
export async function makeMirror(folder: string, options: MirrorOptions = {}): Promise<string> {
  const { versions = ["1.0.0"], targets = [ownPlatform], signed = true } = options;
  const sums: string[] = [];
  for (const version of versions) {
    for (const target of targets) {
      const name = `hutch-${version}-${target}.tar.gz`;
      const bytes = await archive(version, target, options.script);
      writeFileSync(join(folder, name), bytes);
      sums.push(`${sha256(new Uint8Array(bytes))}  ${name}\n`);
    }
  }
  writeFileSync(join(folder, "SHA256SUMS"), sums.join(""));
  const key = readSigningKey(signingKeyFile(), "a test's key");
  if (signed) {
    const text = minisign(readFileSync(join(folder, "SHA256SUMS")), key, "hutch");
    writeFileSync(join(folder, "SHA256SUMS.minisig"), text);
  }
  const script = installerText(readFileSync(join(root, "install.sh"), "utf8"), {
    public_key: signed ? key.publicKey : "",
    needed_glibc: options.neededGlibc ?? "",
  });
  const path = join(folder, "install.sh");
  writeFileSync(path, script, { mode: 0o755 });
  return path;
}
