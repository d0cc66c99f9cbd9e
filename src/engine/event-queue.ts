/**
 * Events of one request between the engine and whoever reads them. Bounded: when a reader falls
 * behind, the sender is asked to pause, and to resume once half of it is read. No generator, because
 * every token goes through here: what is there is handed on without a detour.
 */

/** Events kept for a reader before the sender is asked to pause. */
const most = 256;

export interface EventQueueOptions<T> {
  /** Asks the sender to stop (true) or go on (false). */
  pause(paused: boolean): void;
  /** Whether nothing follows an event. */
  isLast(item: T): boolean;
  /** Called once, when nothing more is read. @param whole the last event was */
  end(whole: boolean): void;
}

/** The reader, while it waits. */
interface Waiting<T> {
  resolve(result: IteratorResult<T>): void;
  reject(error: Error): void;
}

/** For one reader, who asks for an event when it has the one before. */
export class EventQueue<T> implements AsyncIterableIterator<T> {
  readonly #options: EventQueueOptions<T>;
  readonly #items: T[] = [];
  #error: Error | undefined;
  #begun = false;
  #paused = false;
  #ended = false;
  #reader: Waiting<T> | undefined;

  constructor(options: EventQueueOptions<T>) {
    this.#options = options;
  }

  /** Whether the sender was asked to wait for the reader. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Whether anything came. */
  get begun(): boolean {
    return this.#begun;
  }

  push(item: T): void {
    this.#begun = true;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      reader.resolve(this.#hand(item));
      return;
    }
    this.#items.push(item);
    if (!this.#paused && this.#items.length >= most) {
      this.#paused = true;
      this.#options.pause(true);
    }
  }

  /** Ends the queue: what is queued is still read, then the error is thrown. The first error counts. */
  fail(error: Error): void {
    this.#error ??= error;
    const reader = this.#reader;
    if (reader === undefined) return;
    this.#reader = undefined;
    this.#end(false);
    reader.reject(this.#error);
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    const item = this.#items.shift();
    if (item !== undefined) {
      if (this.#paused && this.#items.length < most / 2) {
        this.#paused = false;
        this.#options.pause(false);
      }
      return Promise.resolve(this.#hand(item));
    }
    if (this.#error !== undefined) {
      this.#end(false);
      return Promise.reject(this.#error);
    }
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  /** The reader has enough. */
  return(): Promise<IteratorResult<T>> {
    this.#end(false);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #hand(value: T): IteratorResult<T> {
    if (this.#options.isLast(value)) this.#end(true);
    return { done: false, value };
  }

  #end(whole: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.end(whole);
  }
}
