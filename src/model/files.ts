/** Writing that survives kill -9: temporary file in the same folder, fsync, rename, fsync of the folder. */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { errorMessage, StoreError } from "../errors.ts";

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

/** A file being written under a temporary name. */
export class PendingFile {
  readonly path: string;
  #file: number;

  /** @param prefix start of the temporary name, in `folder` */
  constructor(folder: string, prefix: string) {
    ensureFolder(folder);
    this.path = join(folder, `${prefix}${BigInt(`0x${randomBytes(8).toString("hex")}`)}`);
    this.#file = openSync(this.path, "wx", 0o644);
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
