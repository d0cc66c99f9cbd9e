/** Whether the disk can take what a pull will bring: said before the first byte, not after hours. */
import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { StoreError } from "../../errors.ts";
import { ensureFolder } from "../files.ts";
import type { Store } from "../store.ts";
import type { RemoteBlob } from "./remote-manifest.ts";

/** Bytes that can still be written to a folder; undefined where the system does not tell. */
function freeBytes(folder: string): number | undefined {
  ensureFolder(folder);
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/** Bytes that an unfinished download takes already: its file is sparse. */
function takenBytes(blobPath: string): number {
  const stat = statSync(`${blobPath}-partial`, { throwIfNoEntry: false });
  return stat === undefined ? 0 : stat.blocks * 512;
}

/** @throws StoreError when there is less room than the missing blobs need */
export function checkSpace(store: Store, blobs: readonly RemoteBlob[]): void {
  const needed = blobs
    .filter(({ digest }) => !store.hasBlob(digest))
    .reduce((sum, { digest, size }) => {
      return sum + Math.max(0, size - takenBytes(store.blobPath(digest)));
    }, 0);
  const [first] = blobs;
  if (first === undefined) return;
  // The folder of blobs may lie on another disk than the store.
  const folder = dirname(store.blobPath(first.digest));
  const free = freeBytes(folder);
  if (free === undefined || needed <= free) return;
  throw new StoreError(
    `not enough disk space in ${folder}: ${needed} bytes needed, ${free} bytes free`,
  );
}
