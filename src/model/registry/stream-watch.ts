/**
 * Watches one stream of a download: silence, and a pace far below what the same download has reached
 * on other streams (a slow tail), end it so that it is asked for anew.
 */
import { RegistryError } from "../../errors.ts";
import { StalledError } from "./exchange.ts";

/** A stream slower than this part of the best one is started anew. */
const slowPart = 1 / 20;

/** A stream that was much slower than others. Does not count as a failed try. */
export class SlowError extends RegistryError {
  constructor(message: string) {
    super(message, { transient: true });
  }
}

/** Best pace of any stream of one download, bytes a second. */
export interface BestPace {
  bytesPerSecond: number;
}

/** Ends with `controller.abort(StalledError | SlowError)`. */
export class StreamWatch implements Disposable {
  readonly #timer: ReturnType<typeof setInterval>;
  #bytes = 0;
  #lastBytes = 0;
  #silentMs = 0;
  #windowBytes = 0;
  #windowMs = 0;

  /**
   * @param mayBeSlow whether the stream is left alone when it is slow (it was started anew before)
   */
  constructor(
    controller: AbortController,
    options: { what: string; stallMs: number; best: BestPace; mayBeSlow: boolean },
  ) {
    const { what, stallMs, best, mayBeSlow } = options;
    const tickMs = Math.min(1000, stallMs / 4);
    /** Long enough that a pause of the peer is not taken for its pace. */
    const windowMs = Math.max(5000, stallMs / 4);
    this.#timer = setInterval(() => {
      this.#silentMs = this.#bytes === this.#lastBytes ? this.#silentMs + tickMs : 0;
      this.#windowBytes += this.#bytes - this.#lastBytes;
      this.#lastBytes = this.#bytes;
      this.#windowMs += tickMs;
      if (this.#silentMs >= stallMs) {
        controller.abort(new StalledError(`${what}: no data for ${stallMs / 1000} s`));
        return;
      }
      if (this.#windowMs < windowMs) return;
      const rate = (this.#windowBytes * 1000) / this.#windowMs;
      if (!mayBeSlow && rate < best.bytesPerSecond * slowPart) {
        controller.abort(new SlowError(`${what}: ${Math.round(rate)} bytes a second`));
      }
      best.bytesPerSecond = Math.max(best.bytesPerSecond, rate);
      this.#windowBytes = 0;
      this.#windowMs = 0;
    }, tickMs);
  }

  /** Counts bytes that arrived. */
  count(bytes: number): void {
    this.#bytes += bytes;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
