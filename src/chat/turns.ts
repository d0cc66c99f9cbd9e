/** Long work in turns: others are served in between, so that nobody waits for a long prompt. */

/** Longest time without a look at what else is to be done, in milliseconds. */
const turnMs = 8;

/** Lets everything run that is due. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Runs a generator to its end, stepping aside at its pauses when a turn is over. */
export async function inTurns<T>(work: Generator<undefined, T>): Promise<T> {
  let since = performance.now();
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    if (performance.now() - since < turnMs) continue;
    await nextTurn();
    since = performance.now();
  }
}
