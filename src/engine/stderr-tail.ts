/** The end of what a child writes to stderr: native code that aborts gives the reason there. */

/** How much of it is kept, UTF-16 code units. */
const kept = 8192;

export class StderrTail {
  /** What was read up to now, its end. */
  text = "";
  /** Settles, and never fails, when there is no more to read: who waits for a child's end shall hear of it. */
  readonly whole: Promise<void>;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    // Of a pipe that cannot be read on, what was read until then has to do.
    this.whole = this.#read(stream).catch(() => {});
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.text = (this.text + decoder.decode(chunk, { stream: true })).slice(-kept);
    }
  }
}
