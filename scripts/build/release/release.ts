/**
 * A release: archives for each target, a bill of materials, install.sh with the public key put in,
 * checksums of all, and their signature. The folder appears whole or not at all; equal inputs give
 * equal bytes. What could not be made is told, in release.json as well.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import pin from "../../../vendor/llama.cpp/pin.json" with { type: "json" };
import { type CompileJob, compileExecutable } from "../compile.ts";
import { BuildError } from "../failure.ts";
import { removeFolder, sha256 } from "../files.ts";
import type { Progress } from "../progress.ts";
import { tarGz } from "./archive.ts";
import { executableFiles, gpuFiles, missingLibraries, neededGlibc } from "./contents.ts";
import { installerText } from "./installer.ts";
import { minisign, readSigningKey, type SigningKey } from "./minisign.ts";
import { Lockfile, sbom } from "./sbom.ts";
import { type Host, runsLibrariesOf, type Target } from "./targets.ts";

/** release.json: what there is, and what is missing. */
export const ReleaseList = t.Object({
  version: t.String(),
  archives: t.Array(
    t.Object({
      file: t.String(),
      target: t.String(),
      /** Runs models; otherwise `missing` says what it lacks. */
      engine: t.Boolean(),
      gpu: t.Optional(t.String()),
      missing: t.Optional(t.String()),
    }),
  ),
  /** Targets that could not be made. */
  missing: t.Array(t.Object({ target: t.String(), reason: t.String() })),
});
export type ReleaseList = Static<typeof ReleaseList>;

export interface ReleaseJob
  extends Pick<CompileJob, "root" | "cache" | "manifest" | "libraries" | "entry"> {
  readonly version: string;
  readonly targets: readonly Target[];
  /** Whether a target that cannot be made is an error, because it was named. */
  readonly demanded: boolean;
  readonly host: Host;
  /** File with a secret key of minisign. */
  readonly signingKey: string | undefined;
  /** Where executables of other targets are kept between builds. */
  readonly executables: string;
  readonly output: string;
}

/** @throws BuildError */
export async function makeRelease(job: ReleaseJob, progress: Progress): Promise<ReleaseList> {
  const key =
    job.signingKey === undefined
      ? undefined
      : readSigningKey(
          readFileSync(job.signingKey, "utf8"),
          `HUTCH_SIGNING_KEY "${job.signingKey}"`,
        );
  const work = `${job.output}.${process.pid}.tmp`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    const list: ReleaseList = { version: job.version, archives: [], missing: [] };
    for (const target of job.targets) await addTarget(job, target, work, list, progress);
    await addGpus(job, work, list);
    writeFileSync(join(work, "release.json"), `${JSON.stringify(list, null, 2)}\n`);
    writeFileSync(join(work, `hutch-${job.version}.cdx.json`), bill(job));
    writeFileSync(join(work, "install.sh"), installer(job, key), { mode: 0o755 });
    const names = [
      ...list.archives.map(({ file }) => file),
      "install.sh",
      "release.json",
      `hutch-${job.version}.cdx.json`,
    ].sort();
    const sums = names.map(
      (name) => `${sha256(new Uint8Array(readFileSync(join(work, name))))}  ${name}\n`,
    );
    writeFileSync(join(work, "SHA256SUMS"), sums.join(""));
    if (key !== undefined) {
      const trusted = `hutch ${job.version}\tfile:SHA256SUMS`;
      const signature = minisign(readFileSync(join(work, "SHA256SUMS")), key, trusted);
      writeFileSync(join(work, "SHA256SUMS.minisig"), signature);
    }
    removeFolder(job.output);
    renameSync(work, job.output);
    return list;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function addTarget(
  job: ReleaseJob,
  target: Target,
  work: string,
  list: ReleaseList,
  progress: Progress,
): Promise<void> {
  const engine = runsLibrariesOf(target, job.host);
  const folder = `hutch-${job.version}-${target.name}`;
  const name = target.platform === "win32" ? "hutch.exe" : "hutch";
  const output = join(job.executables, target.name, name);
  mkdirSync(join(job.executables, target.name), { recursive: true });
  progress.note(
    `    ${target.name}${engine ? "" : ": client only, no libraries for it are built here"}`,
  );
  try {
    const { bun } = target;
    const made = { name: target.name, bun, libraries: engine };
    await compileExecutable({ ...job, output, target: made }, progress);
  } catch (error) {
    if (!(error instanceof BuildError) || job.demanded) throw error;
    progress.note(`    ${target.name} cannot be made: ${error.message}`);
    list.missing.push({ target: target.name, reason: error.message });
    return;
  }
  const files = executableFiles(job.root, folder, output, target, engine);
  const file = `${folder}${engine ? "" : "-client"}.tar.gz`;
  writeFileSync(join(work, file), await tarGz(files));
  const lacks = engine ? {} : { missing: missingLibraries(target) };
  list.archives.push({ file, target: target.name, engine, ...lacks });
}

/** GPU backends are built for the host alone. */
async function addGpus(job: ReleaseJob, work: string, list: ReleaseList): Promise<void> {
  const target = job.targets.find((one) => runsLibrariesOf(one, job.host));
  if (target === undefined) return;
  const folder = `hutch-${job.version}-${target.name}`;
  const names = job.manifest.files.map(({ name }) => name);
  for (const [gpu, files] of gpuFiles(names, job.libraries, folder)) {
    const file = `${folder}-${gpu}.tar.gz`;
    writeFileSync(join(work, file), await tarGz(files));
    list.archives.push({ file, target: target.name, engine: true, gpu });
  }
}

function bill(job: ReleaseJob): string {
  const text = (name: string) => readFileSync(join(job.root, name), "utf8");
  const lockfile = Value.Decode(Lockfile, JSON.parse(text("package-lock.json")));
  const cargoLock = text("ffi/llguidance/Cargo.lock");
  const { version } = job;
  return `${JSON.stringify(sbom({ version, license: "MIT", lockfile, cargoLock, pin, bun: Bun.version }), null, 2)}\n`;
}

/** install.sh knows the key that its release is signed with, and what its libraries need. */
function installer(job: ReleaseJob, key: SigningKey | undefined): string {
  const embedded = job.manifest.files.filter(({ embed }) => embed);
  const glibc = neededGlibc(
    embedded.map(({ name }) => new Uint8Array(readFileSync(join(job.libraries, name)))),
  );
  const text = readFileSync(join(job.root, "install.sh"), "utf8");
  return installerText(text, { public_key: key?.publicKey ?? "", needed_glibc: glibc ?? "" });
}
