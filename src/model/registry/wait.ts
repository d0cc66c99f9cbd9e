/** Waiting that ends when nobody waits any more. */

/** @throws AbortError */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const leave = () => {
      clearTimeout(timer);
      reject(new DOMException("The transfer was cancelled", "AbortError"));
    };
    if (signal.aborted) {
      leave();
      return;
    }
    timer = setTimeout(() => {
      signal.removeEventListener("abort", leave);
      resolve();
    }, ms);
    signal.addEventListener("abort", leave, { once: true });
  });
}
