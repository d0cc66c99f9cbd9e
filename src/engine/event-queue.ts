/**
 * Events of one request between the engine and whoever reads them. Bounded: when a reader falls
 * behind, the sender is asked to pause, and to resume once half of it is read.
 */

/** Events kept for a reader before the sender is asked to pause. */
const most = 256;

export class EventQueue<T> implements AsyncIterable<T> {
  readonly #pause: (paused: boolean) => void;
  #items: T[] = [];
  #error: Error | undefined;
  #paused = false;
  #wake: (() => void) | undefined;

  /** @param pause asks the sender to stop (true) or go on (false) */
  constructor(pause: (paused: boolean) => void) {
    this.#pause = pause;
  }

  /** Whether the sender was asked to wait for the reader. */
  get paused(): boolean {
    return this.#paused;
  }

  push(item: T): void {
    this.#items.push(item);
    if (!this.#paused && this.#items.length >= most) {
      this.#paused = true;
      this.#pause(true);
    }
    this.#wake?.();
  }

  /** Ends the queue: what is queued is still read, then the error is thrown. The first error counts. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      while (this.#items.length > 0) {
        const batch = this.#items;
        this.#items = [];
        for (const item of batch) yield item;
        if (this.#paused && this.#items.length < most / 2) {
          this.#paused = false;
          this.#pause(false);
        }
      }
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
