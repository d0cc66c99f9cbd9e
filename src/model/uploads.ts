/**
 * Blobs that arrive in pieces, over more than one connection. The bytes lie beside the blobs under the
 * digest that they will have; only when all are there and hash to it do they get its name. They are
 * hashed as they come; the state of that is saved beside them, so that they are not read again when the
 * rest comes later.
 */
import {
  closeSync,
  createReadStream,
  fsyncSync,
  openSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import {
  DigestMismatchError,
  InvalidRequestError,
  StoreError,
  UploadConflictError,
} from "../errors.ts";
import type { Digest } from "./digest.ts";
import { ensureFolder, hashOf } from "./files.ts";
import { ArrivalHash } from "./hash/arrival.ts";
import { HashNote } from "./hash/note.ts";

/** Digests that a request of this process is adding to. */
const busy = new Set<string>();
/** Bytes after which the state of the hash is saved again: what a killed process has to read back. */
const saveEvery = 4 * 2 ** 20;
/** Most bytes that are read back while a sender waits; more are read when everything is there. */
const catchUpSize = 64 * 2 ** 20;

/** @param path file of the unfinished upload */
export function uploadedBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

const hashPath = (path: string) => `${path}-hash`;

/** Gives a hasher what is in the file and was not given to it yet. */
async function catchUp(hash: ArrivalHash, path: string, size: number): Promise<void> {
  while (hash.position < size) {
    const range = { start: hash.position, end: size - 1, highWaterMark: 1 << 20 };
    let got = 0;
    for await (const chunk of createReadStream(path, range)) {
      hash.update([chunk]);
      got += chunk.length;
      // Changed for the fast hasher: from the first byte on.
      if (hash.position === 0) break;
    }
    if (got === 0) throw new StoreError(`read ${path}: the file became shorter`);
  }
}

interface Arrival {
  readonly path: string;
  readonly digest: Digest;
  /** Bytes that the whole blob has. */
  readonly total: number;
  readonly hash: ArrivalHash;
  readonly note: HashNote;
}

/** Writes pieces behind the `start` bytes that are there. Returns how many are there then. */
async function append(
  { path, digest, total, hash, note }: Arrival,
  file: number,
  pieces: AsyncIterable<Uint8Array>,
  start: number,
): Promise<number> {
  let size = start;
  let noted = start;
  try {
    for await (const piece of pieces) {
      if (size + piece.length > total) {
        throw new InvalidRequestError(`upload of ${digest}: more than ${total} bytes came`);
      }
      let done = 0;
      while (done < piece.length) done += writeSync(file, piece, done);
      if (hash.position === size) hash.update([piece]);
      size += piece.length;
      if (size > hash.position && size - hash.position <= catchUpSize)
        await catchUp(hash, path, size);
      if (size - noted < saveEvery) continue;
      note.write(size, hash.save());
      noted = size;
    }
  } finally {
    note.write(size, hash.save());
  }
  return size;
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
  try {
    ensureFolder(folder);
    const note = new HashNote(hashPath(path), total);
    // From the first byte on: what a state was about is overwritten.
    if (start === 0) note.remove();
    const file = openSync(path, start === 0 ? "w" : "a");
    try {
      const there = uploadedBytes(path);
      if (there !== start) {
        throw new InvalidRequestError(
          `upload of ${digest}: ${there} bytes are there, not ${start}`,
        );
      }
      const saved = note.read().find(({ position }) => position <= there);
      const hash = await ArrivalHash.begin(there, saved);
      const size = await append({ path, digest, total, hash, note }, file, pieces, start);
      if (size === total) {
        fsyncSync(file);
        await check({ path, digest, total, hash, note });
      }
      return size;
    } finally {
      closeSync(file);
    }
  } finally {
    busy.delete(path);
  }
}

/** Compares the digest of a whole upload. @throws DigestMismatchError, then nothing of it is left */
async function check({ path, digest, total, hash, note }: Arrival): Promise<void> {
  await catchUp(hash, path, total);
  let actual = hash.digest();
  // What an earlier process saved is no reason to throw an upload away.
  if (hash.resumed && actual !== digest) actual = (await hashOf(path)).digest;
  note.remove();
  if (actual === digest) return;
  rmSync(path, { force: true });
  throw new DigestMismatchError(digest, actual);
}
