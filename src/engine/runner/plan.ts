/**
 * What the next step evaluates: a pure function of what the slots want. Decoding slots come first, a
 * row each, those that waited longest when not all are worth a row; prompts share the rest of the step's budget, oldest first, so that no running stream
 * waits for more than one prompt chunk.
 */

/** What one busy slot wants of the next step. */
export interface Want {
  /** Index of the slot. */
  readonly slot: number;
  /** Tokens of its prompt not yet evaluated; 0 = it decodes. */
  readonly promptLeft: number;
  /** Tokens of its prompt that are evaluated. */
  readonly evaluated: number;
  /** Tokens that a decoding slot has to evaluate, 1 when absent; a constraint may force several. */
  readonly pending?: number;
  /** Order of arrival: smaller is older. */
  readonly order: number;
  /** Number of the step that it was last part of: smaller waits longer. */
  readonly served: number;
}

export interface Share {
  readonly slot: number;
  /** Tokens of this slot in the step. */
  readonly count: number;
}

/**
 * @param batchSize most tokens of a step
 * @param chunk most prompt tokens of a step
 * @param rows most decoding slots of a step
 */
export function planStep(
  wants: readonly Want[],
  batchSize: number,
  chunk: number,
  rows = batchSize,
): Share[] {
  const decoding = wants
    .filter(({ promptLeft }) => promptLeft === 0)
    .sort((a, b) => a.served - b.served)
    .slice(0, Math.min(rows, batchSize));
  let spare = batchSize - decoding.length;
  const shares: Share[] = decoding.map(({ slot, pending = 1 }) => {
    const more = Math.min(Math.max(0, pending - 1), spare);
    spare -= more;
    return { slot, count: 1 + more };
  });
  let left = Math.min(chunk, spare);
  const prompts = wants.filter(({ promptLeft }) => promptLeft > 0);
  for (const { slot, promptLeft } of prompts.sort((a, b) => a.order - b.order)) {
    if (left <= 0) break;
    const count = Math.min(promptLeft, left);
    shares.push({ slot, count });
    left -= count;
  }
  return shares;
}

/** Prompt tokens of a step where results must not depend on what else runs: always the same. */
export const fixedChunk = 32;

/**
 * The next step for a single slot, so that its rows are the same whatever else is asked for: its prompt
 * in chunks that begin at multiples of `fixedChunk`, then what it decodes. The slot that waited longest;
 * of those with a prompt only the oldest takes part, so that no stream waits for more than one chunk.
 *
 * @param batchSize most tokens of a step
 */
export function planAlone(wants: readonly Want[], batchSize: number): Share[] {
  const [oldest] = wants
    .filter(({ promptLeft }) => promptLeft > 0)
    .sort((a, b) => a.order - b.order);
  const [next] = wants
    .filter((want) => want.promptLeft === 0 || want === oldest)
    .sort((a, b) => a.served - b.served || a.order - b.order);
  if (next === undefined) return [];
  const { slot, promptLeft, evaluated, pending = 1 } = next;
  if (promptLeft === 0) return [{ slot, count: Math.min(Math.max(1, pending), batchSize) }];
  const chunk = Math.min(fixedChunk, batchSize);
  return [{ slot, count: Math.min(promptLeft, chunk - (evaluated % chunk)) }];
}

/**
 * Prompt tokens of a step, from the measured speed: a step stays short enough for cancels and new
 * work to be seen within 250 ms, shorter while others wait for their next token.
 *
 * @param tokensPerSecond speed of evaluating prompts
 * @param othersDecode whether running streams wait for this step
 */
export function promptChunk(tokensPerSecond: number, othersDecode: boolean): number {
  const seconds = othersDecode ? 0.05 : 0.12;
  return Math.max(8, Math.floor(tokensPerSecond * seconds));
}
