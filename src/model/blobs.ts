/**
 * Blobs: files named by the digest of their content (store.md 6). A blob gets its name when it is whole
 * and durable; who opens it sees all of it.
 */
import { existsSync, readFileSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { DigestMismatchError, StoreError } from "../errors.ts";
import { blobFileName, type Digest, digestOf, parseDigest } from "./digest.ts";
import { hashOf, linkInto, PendingFile } from "./files.ts";
import type { Layer } from "./manifest.ts";
import { addToUpload, uploadedBytes } from "./uploads.ts";

/** A blob under a temporary name, to be written by whoever is given its path. */
export interface PendingBlob extends Disposable {
  readonly path: string;
  /** Gives it its name; false when a blob of that digest was there already. */
  keep(digest: Digest): boolean;
}

export class Blobs {
  protected readonly blobFolder: string;

  /** @param folder `blobs` of a store */
  constructor(folder: string) {
    this.blobFolder = folder;
  }

  blobPath(digest: Digest): string {
    return join(this.blobFolder, blobFileName(digest));
  }

  hasBlob(digest: Digest): boolean {
    return existsSync(this.blobPath(digest));
  }

  /** @throws StoreError when the blob is missing */
  readBlob(digest: string): string {
    const path = this.blobPath(parseDigest(digest));
    try {
      return readFileSync(path, "utf8");
    } catch (cause) {
      throw new StoreError(`open ${path}: no such file or directory`, { cause });
    }
  }

  /** Stores bytes that are at hand. Returns the layer, and whether the blob was new. */
  putBytes(content: string | Uint8Array, mediaType: string): { layer: Layer; created: boolean } {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const digest = digestOf(bytes);
    const layer = { mediaType, digest, size: bytes.length };
    if (this.#reuse(digest)) return { layer, created: false };
    const file = PendingFile.create(this.blobFolder, "sha256-");
    try {
      file.write(bytes);
      file.commit(this.blobPath(digest));
    } finally {
      file.discard();
    }
    return { layer, created: true };
  }

  /**
   * Stores a stream, hashing while it is written; nothing stays unless its digest is the expected one.
   * @throws DigestMismatchError; whatever the stream throws
   */
  async putStream(
    stream: AsyncIterable<Uint8Array>,
    expected: Digest,
  ): Promise<{ size: number; created: boolean }> {
    const file = PendingFile.create(this.blobFolder, "sha256-");
    try {
      const hasher = new Bun.CryptoHasher("sha256");
      let size = 0;
      for await (const chunk of stream) {
        hasher.update(chunk);
        file.write(chunk);
        size += chunk.length;
      }
      const actual: Digest = `sha256:${hasher.digest("hex")}`;
      if (actual !== expected) throw new DigestMismatchError(expected, actual);
      if (this.#reuse(expected)) return { size, created: false };
      file.commit(this.blobPath(expected));
      return { size, created: true };
    } finally {
      file.discard();
    }
  }

  /**
   * Takes a file of this machine into the store: shares its bytes where the file system can (reflink,
   * hard link), else copies them.
   * @throws StoreError when the file changes meanwhile
   */
  async putFile(path: string): Promise<{ digest: Digest; size: number; created: boolean }> {
    const before = statSync(path);
    const { digest, size } = await hashOf(path);
    if (this.#reuse(digest)) return { digest, size, created: false };
    const link = linkInto(this.blobFolder, path);
    const after = statSync(link.path);
    try {
      if (after.size !== before.size || statSync(path).mtimeMs !== before.mtimeMs) {
        throw new StoreError(`read ${path}: the file changed while it was read`);
      }
      link.commit(this.blobPath(digest));
      return { digest, size, created: true };
    } finally {
      link.discard();
    }
  }

  /** Where an upload in pieces lies until it is whole. */
  #uploadPath(digest: Digest): string {
    return `${this.blobPath(digest)}-upload-0`;
  }

  /** Bytes of a blob that have been uploaded in pieces so far; all of them when it is stored. */
  uploadedBytes(digest: Digest): number {
    const stored = statSync(this.blobPath(digest), { throwIfNoEntry: false });
    return stored?.size ?? uploadedBytes(this.#uploadPath(digest));
  }

  /** Adds to an upload in pieces; the last piece makes it a blob. See `uploads.ts`. */
  async addToUpload(
    digest: Digest,
    pieces: AsyncIterable<Uint8Array>,
    start: number,
    total: number,
  ): Promise<number> {
    const path = this.#uploadPath(digest);
    const size = await addToUpload(this.blobFolder, path, digest, pieces, { start, total });
    if (size === total) PendingFile.adopt(path).commit(this.blobPath(digest));
    return size;
  }

  /** A blob that something else writes: see `PendingBlob`. */
  pendingBlob(): PendingBlob {
    const file = PendingFile.create(this.blobFolder, "sha256-");
    return {
      path: file.path,
      keep: (digest) => {
        if (this.#reuse(digest)) return false;
        file.commit(this.blobPath(digest));
        return true;
      },
      [Symbol.dispose]: () => file.discard(),
    };
  }

  /** Tells other processes that a blob is needed, although no manifest mentions it yet. */
  touch(digest: Digest): void {
    this.#reuse(digest);
  }

  /** Called before a blob is looked for that a manifest is going to name. */
  protected announce(_digest: Digest): void {}

  /** Refreshes a blob's time, so that start-up pruning leaves it alone; false when it is missing. */
  #reuse(digest: Digest): boolean {
    this.announce(digest);
    try {
      const now = new Date();
      utimesSync(this.blobPath(digest), now, now);
      return true;
    } catch {
      return false; // not there
    }
  }

  /** A layer for a blob that is in the store already. */
  layerOf(digest: Digest, mediaType: string, from?: string): Layer | undefined {
    if (!this.#reuse(digest)) return undefined;
    const { size } = statSync(this.blobPath(digest));
    return { mediaType, digest, size, ...(from === undefined ? {} : { from }) };
  }
}
