/**
 * SHA-256 of bytes that arrive over a network, begun by hash-wasm, whose state can be saved, so that what
 * was hashed is not read again after a restart. It takes a multiple of the time of the built-in hasher,
 * which cannot be saved: once bytes arrive faster than hash-wasm should have to take them, the built-in
 * one does it all, from the first byte on. Reading again what such a line brings costs little.
 */
import { createSHA256, type IHasher } from "hash-wasm";
import type { Digest } from "../digest.ts";
import { type HashLoad, isOverloaded, nextLoad } from "./load.ts";

/** What a hasher needs to go on. */
export interface HashState {
  /** Bytes that were hashed. */
  readonly position: number;
  /** hash-wasm's own form, base64; it begins with a mark of the code that wrote it. */
  readonly state: string;
}

/** A hasher in the state that was saved; undefined when other code saved it. */
function restored(hasher: IHasher, saved: HashState): IHasher | undefined {
  try {
    return hasher.load(new Uint8Array(Buffer.from(saved.state, "base64")));
  } catch {
    return undefined; // another version of hash-wasm: its state means nothing here
  }
}

export class ArrivalHash {
  /** Whether a saved state was gone on from, so that the digest does not rest on this process alone. */
  readonly resumed: boolean;
  readonly #clock: () => number;
  /** The one that can be saved, as long as it keeps up. */
  #savable: IHasher | undefined;
  readonly #fast = new Bun.CryptoHasher("sha256");
  #position: number;
  #load: HashLoad = 0;
  #lookedAt: number;

  private constructor(
    savable: IHasher | undefined,
    saved: HashState | undefined,
    clock: () => number,
  ) {
    this.resumed = saved !== undefined;
    this.#savable = savable;
    this.#position = saved?.position ?? 0;
    this.#clock = clock;
    this.#lookedAt = clock();
  }

  /**
   * @param there bytes that are there already; without a usable state they are read again, fast
   * @param saved state after at most that many bytes
   * @param clock milliseconds from any point on
   */
  static async begin(
    there: number,
    saved?: HashState,
    clock: () => number = () => performance.now(),
  ): Promise<ArrivalHash> {
    if (saved !== undefined && saved.position <= there) {
      const hasher = restored(await createSHA256(), saved);
      if (hasher !== undefined) return new ArrivalHash(hasher, saved, clock);
    }
    return new ArrivalHash(there === 0 ? await createSHA256() : undefined, undefined, clock);
  }

  /** Bytes hashed so far; 0 again after a change to the fast hasher, which has to be given all of them. */
  get position(): number {
    return this.#position;
  }

  /** Takes the bytes at `position`. */
  update(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      this.#position += chunk.length;
      if (this.#savable === undefined) {
        this.#fast.update(chunk);
        continue;
      }
      const start = this.#clock();
      this.#savable.update(chunk);
      const end = this.#clock();
      this.#load = nextLoad(this.#load, end - start, end - this.#lookedAt);
      this.#lookedAt = end;
      if (isOverloaded(this.#load)) {
        this.#savable = undefined;
        this.#position = 0;
        return;
      }
    }
  }

  /** What another process needs to go on from here; undefined when it has to read again. */
  save(): HashState | undefined {
    if (this.#savable === undefined) return undefined;
    return {
      position: this.#position,
      state: Buffer.from(this.#savable.save()).toString("base64"),
    };
  }

  /** The digest of all bytes; nothing can be added or saved afterwards. */
  digest(): Digest {
    const hex = this.#savable?.digest("hex") ?? this.#fast.digest("hex");
    this.#savable = undefined;
    return `sha256:${hex}`;
  }
}
