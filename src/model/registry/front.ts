/**
 * The digest of a blob whose bytes arrive in any order. Bytes at the front are hashed as they come;
 * bytes beyond a gap are kept in memory until the gap closes, up to a budget, and read back from the
 * file when they did not fit, or when an earlier process wrote them. So an undisturbed download is one
 * pass. Its state is not saved: hash-wasm's, which could be, hashes a fifteenth of what the built-in
 * one does (54 against 789 MiB/s, same machine, same load), so that reading the front again after a
 * restart, beside the download, costs less than saving would, and covers what is on disk.
 */
import { StoreError } from "../../errors.ts";
import type { Digest } from "../digest.ts";

/** Most bytes that wait in memory for a gap to close. */
const budget = 48 * 2 ** 20;
/** Bytes per read of what did not fit. */
const readSize = 2 ** 20;

/** What the hasher reads back from. */
export interface FrontFile {
  /** End of what is there from byte 0 on. */
  readonly front: number;
  read(buffer: Uint8Array, offset: number): Promise<number>;
}

export class FrontHasher {
  readonly #hasher = new Bun.CryptoHasher("sha256");
  readonly #file: FrontFile;
  readonly #waiting = new Map<number, readonly Uint8Array[]>();
  #waitingBytes = 0;
  #position = 0;
  #reading: Promise<void> | undefined;
  #failure: unknown;

  constructor(file: FrontFile) {
    this.#file = file;
  }

  /** Bytes hashed so far. */
  get position(): number {
    return this.#position;
  }

  /** Takes bytes that were just written, in the order of each stream. */
  take(chunks: readonly Uint8Array[], offset: number): void {
    const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (this.#reading === undefined && offset === this.#position) {
      this.#hash(chunks, size);
      this.#drain();
    } else if (offset > this.#position && this.#waitingBytes + size <= budget) {
      this.#waiting.set(offset, chunks);
      this.#waitingBytes += size;
    }
    this.#catchUp();
  }

  #hash(chunks: readonly Uint8Array[], size: number): void {
    for (const chunk of chunks) this.#hasher.update(chunk);
    this.#position += size;
  }

  /** Hashes what waited for the position that is reached now. */
  #drain(): void {
    for (;;) {
      const chunks = this.#waiting.get(this.#position);
      if (chunks === undefined) return;
      this.#waiting.delete(this.#position);
      const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      this.#waitingBytes -= size;
      this.#hash(chunks, size);
    }
  }

  /** Reads on from the file while more is there than was hashed; one reader at a time. */
  #catchUp(): void {
    if (this.#reading !== undefined || this.#file.front <= this.#position) return;
    this.#reading = this.#readOn()
      .catch((error: unknown) => {
        this.#failure = error;
      })
      .finally(() => {
        this.#reading = undefined;
      });
  }

  async #readOn(): Promise<void> {
    const buffer = new Uint8Array(readSize);
    while (this.#file.front > this.#position) {
      const size = Math.min(readSize, this.#file.front - this.#position);
      const target = buffer.subarray(0, size);
      const got = await this.#file.read(target, this.#position);
      if (got === 0) throw new StoreError("a partial download is shorter than it was");
      this.#hash([target.subarray(0, got)], got);
      this.#forget();
      this.#drain();
    }
  }

  /** Drops what was read from the file meanwhile. */
  #forget(): void {
    for (const [offset, chunks] of this.#waiting) {
      if (offset >= this.#position) continue;
      this.#waiting.delete(offset);
      this.#waitingBytes -= chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    }
  }

  /** The digest, once `total` bytes are there. @throws StoreError when they cannot be read back */
  async digest(total: number): Promise<Digest> {
    while (this.#position < total) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#catchUp();
      if (this.#reading === undefined) throw new StoreError("a partial download has a gap");
      await this.#reading;
    }
    if (this.#failure !== undefined) throw this.#failure;
    return `sha256:${this.#hasher.digest("hex")}`;
  }
}
