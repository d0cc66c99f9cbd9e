/**
 * Where the native libraries are. In the executable they are embedded, and the system's loader opens
 * files only: so they are unpacked, once, into a folder named after their contents.
 *
 * Each file is written to a temporary name, synced and renamed, then trusted only after its SHA-256
 * has been compared; so any number of processes may do this at once, and a file that was cut or
 * changed is put right by the next start. Hashing all of them costs a start 10 to 20 ms; a stamp
 * beside them saves that, see `verified.ts`.
 */
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { EngineError } from "../src/errors.ts";
import { embedded } from "./embedded.ts";
import type { EmbeddedFile, EmbeddedLibraries } from "./embedded-types.ts";
import { linkGpuBackends } from "./gpu-backends.ts";
import { removeLeftovers, removeOldVersions, writeFileAtomic } from "./unpack-files.ts";
import { readStamp, type Stamp, stampEntry, writeStamp } from "./verified.ts";

export interface LibraryOptions {
  /** hutch's folder in the user's cache; undefined when no home is known. */
  readonly cacheFolder: string | undefined;
  /** Used when the cache folder cannot be; others may write there too. */
  readonly tempFolder: string;
  /** A folder that the user names instead (`HUTCH_LIBRARY_PATH`), taken as it is. */
  readonly libraryFolder?: string | undefined;
}

/**
 * The folder with all libraries, unpacked and checked when it has to be.
 * @throws EngineError naming each place that was tried and why it cannot be used.
 */
export function libraryFolder(
  options: LibraryOptions,
  libraries: EmbeddedLibraries = embedded.libraries,
  executable: string = process.execPath,
): string {
  if (options.libraryFolder !== undefined) {
    return existingFolder(options.libraryFolder, "HUTCH_LIBRARY_PATH names");
  }
  if (libraries.kind === "folder") {
    return existingFolder(libraries.folder, 'they are built by "npm run build", which makes');
  }
  if (libraries.kind === "none") {
    throw new EngineError(
      `open the native libraries: this hutch for ${libraries.platform} was made without them; it works as a client of a server, and with "serve --fake"`,
    );
  }
  const failures: string[] = [];
  for (const place of places(options)) {
    try {
      const folder = unpack(place, libraries.key, libraries.files);
      linkGpuBackends(executable, folder);
      return folder;
    } catch (error) {
      if (!isPlaceProblem(error)) throw error;
      failures.push(error.message);
    }
  }
  throw new EngineError(`unpack the native libraries: ${failures.join("; ")}`);
}

function existingFolder(folder: string, origin: string): string {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return folder;
  throw new EngineError(`open the native libraries: ${origin} "${folder}", which is no folder`);
}

interface Place {
  readonly folder: string;
  readonly kind: "ours" | "theirs";
}

/** The user's cache first; then, in a folder of all users, one that is his alone. */
function places(options: LibraryOptions): Place[] {
  const user = process.getuid?.() ?? userInfo().username;
  const places: Place[] = [{ folder: join(options.tempFolder, `hutch-${user}`), kind: "ours" }];
  if (options.cacheFolder !== undefined) {
    places.unshift({ folder: options.cacheFolder, kind: "theirs" });
  }
  return places;
}

/** A folder that somebody else could write to: libraries are never loaded from there. */
class UnsafeFolderError extends Error {}

function isPlaceProblem(error: unknown): error is Error {
  return (
    error instanceof UnsafeFolderError || (error instanceof Error && "syscall" in error) // a system error
  );
}

function unpack(place: Place, key: string, files: readonly EmbeddedFile[]): string {
  const folder = join(place.folder, `lib-${key}`);
  makeFolder(place.folder, place.kind);
  const created = makeFolder(folder, "ours");
  const stamp = created ? undefined : readStamp(folder);
  const entries: Stamp["entries"] = {};
  let trustedAll = true;
  let wrote = false;
  for (const file of files) {
    const path = join(folder, file.name);
    const known = stamp?.trusts(file.name, path);
    if (known !== undefined) {
      entries[file.name] = known;
      continue;
    }
    trustedAll = false;
    // Taken before hashing: what changes meanwhile has another state than the one recorded.
    let state = stampEntry(path);
    if (state === undefined || !hasContent(path, file)) {
      writeFileAtomic(path, uncompressed(file));
      wrote = true;
      state = stampEntry(path);
    }
    if (state !== undefined) entries[file.name] = state;
  }
  if (!trustedAll) writeStamp(folder, entries);
  if (wrote) removeLeftovers(folder);
  if (created) removeOldVersions(place.folder, folder);
  return folder;
}

/**
 * Makes the folder with mode 0700 if it is missing. `ours`: nobody but this user and root may put
 * files into it, and it is no link. `theirs`: the cache folder that the user has or names, refused
 * only when everybody may replace what lies in it. Returns whether it was made.
 */
function makeFolder(folder: string, kind: "ours" | "theirs"): boolean {
  const created = mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined;
  const uid = process.getuid?.();
  if (uid === undefined) return created;
  const stat = kind === "ours" ? lstatSync(folder) : statSync(folder);
  const everybody = (stat.mode & 0o002) !== 0 && (stat.mode & 0o1000) === 0;
  const problem = !stat.isDirectory()
    ? "it is no folder"
    : kind === "ours" && stat.uid !== uid && stat.uid !== 0
      ? `it belongs to user ${stat.uid}`
      : everybody || (kind === "ours" && (stat.mode & 0o022) !== 0)
        ? "others may write to it"
        : undefined;
  if (problem !== undefined) throw new UnsafeFolderError(`"${folder}" is not used: ${problem}`);
  return created;
}

function sha256(data: Uint8Array<ArrayBuffer>): string {
  return new Bun.CryptoHasher("sha256").update(data).digest("hex");
}

function hasContent(path: string, file: EmbeddedFile): boolean {
  if (lstatSync(path).size !== file.bytes) return false;
  const hasher = new Bun.CryptoHasher("sha256");
  const chunk = new Uint8Array(1 << 18);
  const handle = openSync(path, "r");
  try {
    for (let size = readSync(handle, chunk); size > 0; size = readSync(handle, chunk)) {
      hasher.update(chunk.subarray(0, size));
    }
  } finally {
    closeSync(handle);
  }
  return hasher.digest("hex") === file.sha256;
}

function uncompressed(file: EmbeddedFile): Uint8Array<ArrayBuffer> {
  // Copied into a plain array, which is what the hasher takes.
  const data = new Uint8Array(Bun.zstdDecompressSync(readFileSync(file.path)));
  if (data.length !== file.bytes || sha256(data) !== file.sha256) {
    throw new EngineError(`unpack "${file.name}": this executable is damaged, install it again`);
  }
  return data;
}
