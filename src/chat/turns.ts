/** Long work in turns: others are served in between, so that nobody waits for a long prompt. */

/** Lets everything run that is due. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
