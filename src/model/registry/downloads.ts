/**
 * All downloads of this process, by digest: who asks for a blob that is on its way shares it; when the
 * last one has gone it stops, and what is there stays. Between processes a lock file decides who
 * downloads; the others wait for the blob.
 */
import { existsSync, readFileSync } from "node:fs";
import { Value } from "@sinclair/typebox/value";
import { errorMessage, isAbortError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import type { Digest } from "../digest.ts";
import { FileLock } from "../lock.ts";
import type { Store } from "../store.ts";
import { downloadBlob } from "./download.ts";
import { PartShape, removePartial } from "./partial.ts";
import type { RemoteBlob } from "./remote-manifest.ts";
import type { RegistrySession } from "./session.ts";
import { BlobSource } from "./source.ts";
import { pause } from "./wait.ts";

/** Pause between two looks at a blob that another process downloads. */
const lookMs = 200;

export interface BlobProgress {
  readonly digest: Digest;
  readonly total: number;
  readonly completed: number;
}

/** One download that any number of callers wait for. */
class SharedDownload {
  readonly #controller = new AbortController();
  readonly done: Promise<void>;
  listeners = 0;
  total: number;
  completed = 0;
  settled = false;

  constructor(size: number, run: (shared: SharedDownload, signal: AbortSignal) => Promise<void>) {
    this.total = size;
    this.done = run(this, this.#controller.signal).finally(() => {
      this.settled = true;
    });
    this.done.catch(() => {}); // its callers hear of it
  }

  /** One caller less. */
  leave(): void {
    this.listeners--;
    if (this.listeners === 0 && !this.settled) {
      this.#controller.abort(new DOMException("The download was cancelled", "AbortError"));
    }
  }

  get abandoned(): boolean {
    return this.#controller.signal.aborted;
  }
}

export class Downloads {
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #retryMs: number;
  readonly #progressMs: number;
  readonly #running = new Map<Digest, SharedDownload>();

  /** @param retryMs unit of pauses between tries; `progressMs` between two reports */
  constructor(store: Store, options: { logger: Logger; retryMs: number; progressMs: number }) {
    this.#store = store;
    this.#logger = options.logger;
    this.#retryMs = options.retryMs;
    this.#progressMs = options.progressMs;
  }

  /**
   * Makes sure that the store has a blob, and tells how it goes. Ends when the blob is there.
   * @throws RegistryError, StoreError, AbortError
   */
  async *fetch(
    session: RegistrySession,
    blob: RemoteBlob,
    signal: AbortSignal,
  ): AsyncGenerator<BlobProgress> {
    const { digest } = blob;
    const shared = await this.#join(session, blob, signal);
    try {
      const report = () => ({ digest, total: shared.total, completed: shared.completed });
      for (;;) {
        yield report();
        if (shared.settled) break;
        await Promise.race([shared.done, pause(this.#progressMs, signal)]);
      }
      await shared.done;
    } finally {
      shared.leave();
    }
  }

  async #join(
    session: RegistrySession,
    blob: RemoteBlob,
    signal: AbortSignal,
  ): Promise<SharedDownload> {
    let shared = this.#running.get(blob.digest);
    while (shared?.abandoned) {
      // Its last caller left a moment ago: wait until it has written down how far it came.
      await shared.done.catch(() => {});
      shared = this.#running.get(blob.digest);
    }
    signal.throwIfAborted();
    if (shared === undefined) {
      shared = new SharedDownload(blob.size, (own, ownSignal) =>
        this.#run(session, blob, own, ownSignal).finally(() => this.#running.delete(blob.digest)),
      );
      this.#running.set(blob.digest, shared);
    }
    shared.listeners++;
    return shared;
  }

  async #run(
    session: RegistrySession,
    blob: RemoteBlob,
    shared: SharedDownload,
    signal: AbortSignal,
  ): Promise<void> {
    const path = this.#store.blobPath(blob.digest);
    shared.completed = completedOf(path) ?? 0;
    const size = blob.size > 0 ? blob.size : await this.#sizeOf(session, blob.digest, signal);
    shared.total = size;
    for (;;) {
      if (existsSync(path)) {
        shared.completed = size;
        return;
      }
      using lock = FileLock.take(`${path}.lock`);
      if (lock === undefined) {
        shared.completed = completedOf(path) ?? shared.completed;
        await pause(lookMs, signal);
        continue;
      }
      // Between the look and the lock the blob may have come.
      if (existsSync(path)) continue;
      if (await this.#locked(session, { ...blob, size }, shared, signal, lock)) return;
    }
  }

  /** Downloads with the lock held. Returns false when another process took the lock meanwhile. */
  async #locked(
    session: RegistrySession,
    blob: RemoteBlob,
    shared: SharedDownload,
    signal: AbortSignal,
    lock: FileLock,
  ): Promise<boolean> {
    const { digest } = blob;
    if (blob.size === 0) {
      await this.#store.putStream((async function* () {})(), digest);
      return true;
    }
    try {
      await downloadBlob({
        session,
        blob,
        path: this.#store.blobPath(digest),
        onProgress: (completed) => {
          shared.completed = completed;
        },
        signal: AbortSignal.any([signal, lock.lost]),
        retryMs: this.#retryMs,
        logger: this.#logger,
      });
      return true;
    } catch (error) {
      if (isAbortError(error) && !signal.aborted) return false;
      if (!isAbortError(error)) {
        this.#logger.warn("a download failed", { digest, error: errorMessage(error) });
      }
      throw error;
    }
  }

  /** Size of a blob whose manifest says 0: really nothing, or unknown. */
  async #sizeOf(session: RegistrySession, digest: Digest, signal: AbortSignal): Promise<number> {
    return digest === emptyDigest ? 0 : BlobSource.sizeOf(session, digest, signal);
  }

  /** Removes what a finished download may have left, when this process or another died in the middle. */
  tidy(digest: Digest): void {
    const path = this.#store.blobPath(digest);
    using lock = FileLock.take(`${path}.lock`);
    if (lock !== undefined && existsSync(path)) removePartial(path);
  }
}

const emptyDigest: Digest = `sha256:${new Bun.CryptoHasher("sha256").digest("hex")}`;

/** How far another process has come; undefined when that cannot be told. */
function completedOf(path: string): number | undefined {
  try {
    const part: unknown = JSON.parse(readFileSync(`${path}-partial-0`, "utf8"));
    return Value.Check(PartShape, part) ? part.Completed : undefined;
  } catch {
    return undefined;
  }
}
