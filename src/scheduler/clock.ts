/** Time as the scheduler sees it, so that tests can move it by hand. */
export interface Clock {
  /** Milliseconds since 1970, with a fraction. */
  now(): number;
  /** Calls back once after so many milliseconds; the result cancels it. Never keeps the process alive. */
  after(milliseconds: number, callback: () => void): () => void;
}

/** Timers count milliseconds in 32 bits; longer waits are made of several. */
const longestTimer = 2 ** 31 - 1;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, callback) {
    let timer: ReturnType<typeof setTimeout>;
    const wait = (left: number): void => {
      const step = Math.min(left, longestTimer);
      timer = setTimeout(() => (left > step ? wait(left - step) : callback()), step);
      timer.unref();
    };
    wait(Math.max(0, milliseconds));
    return () => clearTimeout(timer);
  },
};
