/** Waiting that ends with whoever waits: nobody is held by a process that stands still. */

/** What a promise brings, unless the signal aborts first; then its reason is thrown, and the promise is left alone. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (Bun.peek.status(promise) !== "pending") return await promise; // most often
  const left = Promise.withResolvers<never>();
  const leave = () => left.reject(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  try {
    if (signal.aborted) leave();
    return await Promise.race([promise, left.promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
