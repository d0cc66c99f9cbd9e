/**
 * The digest of a blob whose bytes arrive in any order. Bytes at the front are hashed as they come;
 * bytes beyond a gap are kept in memory until the gap closes, up to a budget, and read back from the
 * file when they did not fit, when an earlier process wrote them and saved no state, or when the hasher
 * was changed for a faster one. So an undisturbed download is one pass.
 */
import { StoreError } from "../../errors.ts";
import type { Digest } from "../digest.ts";
import type { ArrivalHash, HashState } from "../hash/arrival.ts";

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
  readonly #file: FrontFile;
  readonly #hash: ArrivalHash;
  readonly #waiting = new Map<number, readonly Uint8Array[]>();
  #waitingBytes = 0;
  #reading: Promise<void> | undefined;
  #failure: unknown;

  constructor(file: FrontFile, hash: ArrivalHash) {
    this.#file = file;
    this.#hash = hash;
  }

  /** Bytes hashed so far. */
  get position(): number {
    return this.#hash.position;
  }

  /** What another process needs to go on from here; undefined when it has to read again. */
  save(): HashState | undefined {
    return this.#hash.save();
  }

  /** Takes bytes that were just written, in the order of each stream. */
  take(chunks: readonly Uint8Array[], offset: number): void {
    const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (this.#reading === undefined && offset === this.position) {
      this.#hash.update(chunks);
      this.#drain();
    } else if (offset > this.position && this.#waitingBytes + size <= budget) {
      this.#waiting.set(offset, chunks);
      this.#waitingBytes += size;
    }
    this.#catchUp();
  }

  /** Hashes what waited for the position that is reached now. */
  #drain(): void {
    for (;;) {
      const chunks = this.#waiting.get(this.position);
      if (chunks === undefined) return;
      this.#waiting.delete(this.position);
      this.#waitingBytes -= chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      this.#hash.update(chunks);
    }
  }

  /** Reads on from the file while more is there than was hashed; one reader at a time. */
  #catchUp(): void {
    if (this.#reading !== undefined || this.#file.front <= this.position) return;
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
    while (this.#file.front > this.position) {
      const size = Math.min(readSize, this.#file.front - this.position);
      const target = buffer.subarray(0, size);
      const got = await this.#file.read(target, this.position);
      if (got === 0) throw new StoreError("a partial download is shorter than it was");
      this.#hash.update([target.subarray(0, got)]);
      this.#forget();
      this.#drain();
    }
  }

  /** Drops what was read from the file meanwhile. */
  #forget(): void {
    for (const [offset, chunks] of this.#waiting) {
      if (offset >= this.position) continue;
      this.#waiting.delete(offset);
      this.#waitingBytes -= chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    }
  }

  /** The digest, once `total` bytes are there. @throws StoreError when they cannot be read back */
  async digest(total: number): Promise<Digest> {
    while (this.position < total) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#catchUp();
      if (this.#reading === undefined) throw new StoreError("a partial download has a gap");
      await this.#reading;
    }
    if (this.#failure !== undefined) throw this.#failure;
    return this.#hash.digest();
  }
}
