/**
 * The download of one blob: segments side by side, each asked for by a range, written to their places,
 * hashed in order, tried again after failures. The blob gets its name only when its digest is right.
 */
import {
  DigestMismatchError,
  errorMessage,
  isAbortError,
  RegistryError,
  StoreError,
} from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import type { Digest } from "../digest.ts";
import { hashOf } from "../files.ts";
import { ArrivalHash } from "../hash/arrival.ts";
import { abortReason, StalledError } from "./exchange.ts";
import { FrontHasher } from "./front.ts";
import { firstPace, mostStreams, nextPace, type Pace, slowerPace } from "./pace.ts";
import { PartialBlob } from "./partial.ts";
import { addRange, gapsIn, type Range } from "./ranges.ts";
import type { RemoteBlob } from "./remote-manifest.ts";
import { mayRetry, pauseMs, retriesExceeded } from "./retry.ts";
import type { RegistrySession } from "./session.ts";
import { type BlobBody, BlobSource } from "./source.ts";
import { type BestPace, SlowError, StreamWatch } from "./stream-watch.ts";
import { pause } from "./wait.ts";

/** Bytes that one request asks for. */
const segmentSize = 16 * 2 ** 20;
/** Bytes that are collected before they are written, and for how long on a slow line, milliseconds. */
const batchSize = 512 * 1024;
const batchMs = 250;
/** Bytes of progress after which earlier failures of a segment are forgotten. */
const forgetAfter = 256 * 1024;
/** Times that a segment is started anew because it is slow. */
const mostSlowRestarts = 2;

/** Downloaded bytes with another digest than their name; message as registry.md 3 has it. */
export class DamagedDownloadError extends RegistryError {
  constructor(expected: string, actual: string) {
    super(`digest mismatch, file must be downloaded again: want ${expected}, got ${actual}`, {
      cause: new DigestMismatchError(expected, actual),
    });
  }
}

export interface DownloadOptions {
  readonly session: RegistrySession;
  /** With its size. */
  readonly blob: RemoteBlob;
  /** Final path of the blob. */
  readonly path: string;
  /** Called with the bytes that are there, now and then. */
  readonly onProgress: (completed: number) => void;
  readonly signal: AbortSignal;
  /** Unit of the pauses between tries, milliseconds. */
  readonly retryMs: number;
  readonly logger: Logger;
}

/** Downloads a blob, going on from what is there. @throws RegistryError, StoreError, AbortError */
export async function downloadBlob(options: DownloadOptions): Promise<void> {
  const partial = await PartialBlob.open(options.path, options.blob.size);
  let actual: Digest;
  try {
    const hash = await ArrivalHash.begin(partial.front, partial.savedHash);
    actual = await new Download(options, partial, hash).run();
    // What an earlier process saved is no reason to throw a download away.
    if (hash.resumed && actual !== options.blob.digest) {
      actual = (await hashOf(`${options.path}-partial`)).digest;
    }
  } catch (error) {
    await partial.pause();
    throw error;
  }
  if (actual !== options.blob.digest) {
    await partial.discard();
    throw new DamagedDownloadError(options.blob.digest, actual);
  }
  await partial.finish();
}

class Download {
  readonly #options: DownloadOptions;
  readonly #partial: PartialBlob;
  readonly #source: BlobSource;
  readonly #hasher: FrontHasher;
  readonly #controller = new AbortController();
  readonly #best: BestPace = { bytesPerSecond: 0 };
  /** Segments that a stream is at work on. */
  #claimed: Range[] = [];
  #pace: Pace = firstPace;
  #running = 0;
  /** Set when the server sends whole blobs only: then one stream does everything. */
  #wholeOnly = false;
  #failure: unknown;
  #received = 0;
  #wake: () => void = () => {};

  constructor(options: DownloadOptions, partial: PartialBlob, hash: ArrivalHash) {
    this.#options = options;
    this.#partial = partial;
    this.#source = new BlobSource(options.session, options.blob);
    this.#hasher = new FrontHasher(partial, hash);
    partial.hashState = () => this.#hasher.save();
  }

  /** Fetches what is missing. Returns the digest of what is there then. */
  async run(): Promise<Digest> {
    const { signal, onProgress } = this.#options;
    const leave = () => this.#fail(abortReason(signal));
    if (signal.aborted) throw abortReason(signal);
    signal.addEventListener("abort", leave, { once: true });
    let last = 0;
    const timer = setInterval(() => {
      const rate = this.#received - last;
      last = this.#received;
      this.#pace = nextPace(this.#pace, rate);
      this.#wake();
    }, 1000);
    onProgress(this.#partial.completed);
    this.#hasher.take([], 0);
    try {
      await this.#streams();
    } finally {
      clearInterval(timer);
      signal.removeEventListener("abort", leave);
    }
    if (this.#failure !== undefined) throw this.#failure;
    return this.#hasher.digest(this.#partial.total);
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#controller.abort(error instanceof Error ? error : new Error(String(error)));
    this.#wake();
  }

  /** Keeps as many streams at work as the pace allows, until nothing is missing or one fails. */
  async #streams(): Promise<void> {
    for (;;) {
      const wanted = this.#wholeOnly ? 1 : Math.min(mostStreams, this.#pace.streams);
      while (this.#failure === undefined && this.#running < wanted) {
        const segment = this.#claim();
        if (segment === undefined) break;
        this.#running++;
        this.#stream(segment)
          .catch((error: unknown) => this.#fail(error))
          .finally(() => {
            this.#running--;
            this.#claimed = this.#claimed.filter((other) => other !== segment);
            this.#wake();
          });
      }
      if (this.#running === 0) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The first missing bytes that nobody fetches; undefined when there are none. */
  #claim(): Range | undefined {
    const taken = this.#claimed.reduce<readonly Range[]>(addRange, this.#partial.ranges);
    const [gap] = gapsIn(taken, this.#partial.total);
    if (gap === undefined) return undefined;
    const end = this.#wholeOnly ? this.#partial.total : Math.min(gap[1], gap[0] + segmentSize);
    const segment: Range = [gap[0], end];
    this.#claimed.push(segment);
    return segment;
  }

  /** Fetches a segment, with as many tries as it takes. */
  async #stream([start, end]: Range): Promise<void> {
    const { retryMs, logger, blob } = this.#options;
    let at = start;
    let tries = 0;
    let slow = 0;
    while (at < end && !(this.#wholeOnly && this.#running > 1)) {
      const before = at;
      try {
        at = await this.#fetch([at, end], slow >= mostSlowRestarts, (position) => {
          at = position;
        });
      } catch (error) {
        if (this.#failure !== undefined || isAbortError(error)) throw error;
        if (at - before >= forgetAfter) tries = 0;
        if (error instanceof SlowError) slow++;
        else tries++;
        logger.debug("a part of a download failed", {
          digest: blob.digest,
          at,
          tries,
          error: errorMessage(error),
        });
        if (!mayRetry(error, tries))
          throw tries > 1 && isTransient(error) ? retriesExceeded(error) : error;
        if (error instanceof RegistryError && [429, 503].includes(error.status ?? 0)) {
          this.#pace = slowerPace(this.#pace);
        }
        // After silence or slowness the time is spent already.
        if (error instanceof StalledError || error instanceof SlowError) continue;
        await pause(pauseMs(error, tries, retryMs, Math.random()), this.#controller.signal);
      }
    }
  }

  /** One request; returns how far it came. `reached` hears of progress, because a failure returns nothing. */
  async #fetch(
    [start, end]: Range,
    mayBeSlow: boolean,
    reached: (position: number) => void,
  ): Promise<number> {
    const { blob, session } = this.#options;
    const controller = new AbortController();
    const leave = () => controller.abort(this.#controller.signal.reason);
    if (this.#controller.signal.aborted) leave();
    this.#controller.signal.addEventListener("abort", leave, { once: true });
    const what = `${blob.digest.slice(7, 19)} from byte ${start}`;
    const { stallMs } = session.http;
    try {
      const answer = await this.#source.open([start, end], controller.signal);
      if (answer.whole && !(start === 0 && end === this.#partial.total)) this.#wholeOnly = true;
      const stop = answer.whole ? this.#partial.total : end;
      using watch = new StreamWatch(controller, { what, stallMs, best: this.#best, mayBeSlow });
      const position = await this.#copy(answer, [start, stop], watch, reached);
      if (position < Math.min(stop, answer.end)) {
        throw new RegistryError("the connection was closed early", { transient: true });
      }
      return position;
    } catch (error) {
      if (this.#failure !== undefined) throw this.#failure;
      if (controller.signal.aborted) throw controller.signal.reason;
      if (error instanceof RegistryError) throw error;
      if (error instanceof StoreError) throw error;
      throw new RegistryError(errorMessage(error), { cause: error, transient: true });
    } finally {
      this.#controller.signal.removeEventListener("abort", leave);
      controller.abort(new DOMException("The request is over", "AbortError"));
    }
  }

  /** Writes a body to its place, from `start` on; what comes after `end` is not wanted. */
  async #copy(
    { body, offset }: BlobBody,
    [start, end]: Range,
    watch: StreamWatch,
    reached: (position: number) => void,
  ): Promise<number> {
    let position = offset;
    let batch: Uint8Array[] = [];
    let batchStart = start;
    let batchBytes = 0;
    let flushedAt = performance.now();
    const flush = async () => {
      if (batchBytes === 0) return;
      const [chunks, at] = [batch, batchStart];
      batchStart += batchBytes;
      batch = [];
      batchBytes = 0;
      flushedAt = performance.now();
      await this.#partial.write(chunks, at);
      this.#hasher.take(chunks, at);
      this.#partial.saveIfDue();
      reached(batchStart);
      this.#options.onProgress(this.#partial.completed);
    };
    const reader = body.getReader();
    try {
      while (position < end) {
        const { done, value } = await reader.read();
        if (done) break;
        watch.count(value.length);
        this.#received += value.length;
        const from = Math.max(0, start - position);
        const chunk = value.subarray(from, Math.max(from, end - position));
        position += value.length;
        if (chunk.length === 0) continue;
        batch.push(chunk);
        batchBytes += chunk.length;
        if (batchBytes >= batchSize || performance.now() - flushedAt > batchMs) await flush();
      }
    } finally {
      // What arrived before a failure is kept.
      await flush();
    }
    return batchStart;
  }
}

function isTransient(error: unknown): boolean {
  return error instanceof RegistryError && error.transient;
}
