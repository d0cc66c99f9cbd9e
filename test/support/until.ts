/** Waiting for a condition, never for a time. */

/** Polls a condition until it holds; fails with `what` after `seconds`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  seconds = 20,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await Bun.sleep(10);
  }
}
