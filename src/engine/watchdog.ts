/**
 * Notices a child that has work and makes no progress: native code can hang in a driver or a lock, and
 * then answers nothing for ever. Every message of the child counts as progress.
 */
export class Watchdog {
  readonly #timer: Timer | undefined;
  #last = performance.now();

  /**
   * @param limitMs longest silence while there is work; 0 or less = no watching
   * @param working whether anything waits for the child
   * @param stalled called once, with the milliseconds of silence
   */
  constructor(limitMs: number, working: () => boolean, stalled: (silentMs: number) => void) {
    if (limitMs <= 0 || !Number.isFinite(limitMs)) return;
    this.#timer = setInterval(
      () => {
        const now = performance.now();
        if (!working()) this.#last = now;
        const silent = now - this.#last;
        if (silent < limitMs) return;
        this.stop();
        stalled(silent);
      },
      Math.max(10, limitMs / 8),
    );
    this.#timer.unref();
  }

  heard(): void {
    this.#last = performance.now();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
