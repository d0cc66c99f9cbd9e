/**
 * Blobs that arrive in pieces, over more than one connection. The bytes lie beside the blobs under the
 * digest that they will have; only when all are there and hash to it do they get its name.
 */
import { closeSync, fsyncSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { DigestMismatchError, InvalidRequestError, UploadConflictError } from "../errors.ts";
import type { Digest } from "./digest.ts";
import { ensureFolder, hashOf } from "./files.ts";

/** Digests that a request of this process is adding to. */
const busy = new Set<string>();

/** @param path file of the unfinished upload */
export function uploadedBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * Appends to an unfinished upload. What arrived before a connection broke stays.
 * @param start offset of the first byte; must be what is there already
 * @returns bytes that are there now
 * @throws InvalidRequestError, UploadConflictError, DigestMismatchError (then the upload starts anew)
 */
export async function addToUpload(
  folder: string,
  path: string,
  digest: Digest,
  pieces: AsyncIterable<Uint8Array>,
  { start, total }: { readonly start: number; readonly total: number },
): Promise<number> {
  if (busy.has(path)) throw new UploadConflictError(`blob ${digest} is being uploaded already`);
  busy.add(path);
  ensureFolder(folder);
  const file = openSync(path, start === 0 ? "w" : "a");
  let size = start;
  try {
    const there = uploadedBytes(path);
    if (there !== start) {
      throw new InvalidRequestError(`upload of ${digest}: ${there} bytes are there, not ${start}`);
    }
    for await (const piece of pieces) {
      if (size + piece.length > total) {
        throw new InvalidRequestError(`upload of ${digest}: more than ${total} bytes came`);
      }
      let done = 0;
      while (done < piece.length) done += writeSync(file, piece, done);
      size += piece.length;
    }
    if (size === total) fsyncSync(file);
  } finally {
    closeSync(file);
    busy.delete(path);
  }
  if (size === total) {
    const actual = (await hashOf(path)).digest;
    if (actual !== digest) {
      rmSync(path, { force: true });
      throw new DigestMismatchError(digest, actual);
    }
  }
  return size;
}
