/** Writing that survives kill -9: temporary file in the same folder, fsync, rename, fsync of the folder. */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  createReadStream,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { errorMessage, StoreError } from "../errors.ts";
import type { Digest } from "./digest.ts";

/** Creates a folder and its parents (0755). */
export function ensureFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o755 });
  } catch (cause) {
    throw new StoreError(`${errorMessage(cause)}: ensure path elements are traversable`, { cause });
  }
}

/** Makes a rename in this folder durable. */
export function syncFolder(path: string): void {
  const folder = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function temporaryPath(folder: string, prefix: string): string {
  return join(folder, `${prefix}${BigInt(`0x${randomBytes(8).toString("hex")}`)}`);
}

/** Digest of a file, read without blocking. */
export async function hashOf(path: string): Promise<{ digest: Digest; size: number }> {
  const hasher = new Bun.CryptoHasher("sha256");
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hasher.update(chunk);
    size += chunk.length;
  }
  return { digest: `sha256:${hasher.digest("hex")}`, size };
}

/**
 * A file in `folder` with the bytes of another, shared with it where that is possible. A hard link
 * keeps the modes of its original, the others get a blob's.
 */
export function linkInto(folder: string, source: string): PendingFile {
  ensureFolder(folder);
  const path = temporaryPath(folder, "sha256-");
  const copy = (mode: number) => {
    copyFileSync(source, path, mode);
    chmodSync(path, 0o644);
  };
  const ways = [
    () => copy(constants.COPYFILE_FICLONE_FORCE),
    () => linkSync(source, path),
    () => copy(0),
  ];
  for (const way of ways) {
    try {
      way();
      return PendingFile.adopt(path);
    } catch (cause) {
      // Other file systems, other owners, no such feature: the next way does.
      rmSync(path, { force: true });
      if (way === ways.at(-1)) {
        throw new StoreError(`copy ${source}: ${errorMessage(cause)}`, { cause });
      }
    }
  }
  throw new StoreError(`copy ${source}: no way left`);
}

/** A file being written under a temporary name. */
export class PendingFile {
  readonly path: string;
  #file: number;

  private constructor(path: string, file: number) {
    this.path = path;
    this.#file = file;
  }

  /** @param prefix start of the temporary name, in `folder` */
  static create(folder: string, prefix: string): PendingFile {
    ensureFolder(folder);
    const path = temporaryPath(folder, prefix);
    return new PendingFile(path, openSync(path, "wx", 0o644));
  }

  /** A temporary file that is complete already. */
  static adopt(path: string): PendingFile {
    return new PendingFile(path, openSync(path, "r"));
  }

  write(bytes: Uint8Array): void {
    let done = 0;
    while (done < bytes.length) done += writeSync(this.#file, bytes, done);
  }

  /** Gives the file its final name; whoever opens that sees all of it or the old one. */
  commit(target: string): void {
    fsyncSync(this.#file);
    closeSync(this.#file);
    this.#file = -1;
    ensureFolder(dirname(target));
    renameSync(this.path, target);
    syncFolder(dirname(target));
  }

  /** Forgets the file; nothing happens after `commit`. */
  discard(): void {
    if (this.#file < 0) return;
    closeSync(this.#file);
    this.#file = -1;
    rmSync(this.path, { force: true });
  }
}
