/**
 * How many slots a model has: pure arithmetic that a model's bill, the scheduler and the runner share, so
 * that what is counted is what happens. A model begins with one slot and gets more when they are wanted.
 */

/** Slots that there are as soon as one is not enough: a model that one person talks to needs no second. */
export const fewSlots = 4;

/** libllama rounds the cells of a sequence up to a multiple of this. */
const cellStep = 256;

/** Cells that are set aside at once at most: libllama notes some 50 bytes for each, used or not. */
const cellsAtOnce = 2 ** 19;

/** Cells of one slot with so many tokens of context. */
export function cellsOf(contextLength: number): number {
  return Math.ceil(contextLength / cellStep) * cellStep;
}

/** Slots that a model gets next, when so many requests wait: a few, then twice as many, `most` at last. */
export function nextSlots(present: number, waiting: number, most: number): number {
  const wanted = 2 ** Math.ceil(Math.log2(present + waiting));
  return Math.min(most, Math.max(wanted, 2 * present, fewSlots));
}

/** Slots that a model may have, at most, just before it has `most` > 1. */
export function slotsBefore(most: number): number {
  return most > fewSlots ? 2 ** (Math.ceil(Math.log2(most)) - 1) : 1;
}

/** For how many of its slots a context that grows in place is made, 1 to `slots`. */
export function slotsAtOnce(contextLength: number, slots: number): number {
  return Math.max(1, Math.min(slots, Math.floor(cellsAtOnce / cellsOf(contextLength))));
}
