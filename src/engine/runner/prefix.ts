/**
 * Which slot a request gets: the free one that holds most of its prompt already, or one that can be
 * given a copy of what another slot holds. Pure.
 */

export interface SlotView {
  /** Tokens in the KV cache, in order. */
  readonly tokens: readonly number[];
  readonly busy: boolean;
  /** When it was last used; smaller is longer ago. */
  readonly lastUse: number;
  /** While its prompt is being evaluated: all of it. */
  readonly coming?: readonly number[];
}

export type Choice =
  /** Use the slot; the first `common` of its tokens stay. */
  | { readonly kind: "use"; readonly slot: number; readonly common: number }
  /** Empty the slot and copy `source` into it; the first `common` tokens stay. */
  | {
      readonly kind: "copy";
      readonly slot: number;
      readonly source: number;
      readonly common: number;
    }
  /** No slot is free, or another request is just evaluating what this one needs. */
  | { readonly kind: "wait" };

/** A copy must save at least this many tokens to be worth it. */
const worthwhile = 64;
/** And a wait for a copy so many: each that does not wait for the last piece of a prompt evaluates it once more. */
const worthWaiting = 16;

export function commonPrefix(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  while (at < most && a[at] === b[at]) at++;
  return at;
}

/** Whether so much of what a slot holds is lost when only the first `common` tokens stay. */
export function givesUp({ tokens }: Pick<SlotView, "tokens">, common: number): boolean {
  return tokens.length - common >= worthwhile;
}

/** @param canCopy whether sequences can be copied and trimmed (not with recurrent memories) */
export function chooseSlot(
  slots: readonly SlotView[],
  prompt: ArrayLike<number>,
  canCopy: boolean,
): Choice {
  let best = { slot: -1, common: -1, value: -1, lastUse: 0 };
  let oldest = { slot: -1, lastUse: 0 };
  let source = { slot: -1, common: 0 };
  let coming = 0;
  slots.forEach((view, slot) => {
    const common = commonPrefix(view.tokens, prompt);
    if (common > source.common) source = { slot, common };
    if (view.coming !== undefined) coming = Math.max(coming, commonPrefix(view.coming, prompt));
    if (view.busy) return;
    const { lastUse } = view;
    // A conversation is not given up for a few tokens that any other begins with, too.
    const value = givesUp(view, common) && common < worthwhile ? 0 : common;
    if (value > best.value || (value === best.value && lastUse < best.lastUse)) {
      best = { slot, common, value, lastUse };
    }
    if (oldest.slot < 0 || lastUse < oldest.lastUse) oldest = { slot, lastUse };
  });
  if (best.slot < 0) return { kind: "wait" };
  const had = Math.max(best.common, canCopy ? source.common : 0);
  const copied = coming >= best.common + worthwhile;
  if (canCopy && copied && coming >= had + worthWaiting) return { kind: "wait" };
  if (canCopy && source.common >= best.common + worthwhile) {
    return { kind: "copy", slot: oldest.slot, source: source.slot, common: source.common };
  }
  return { kind: "use", slot: best.slot, common: best.common };
}

/** What matters of a slot for its place among the others. */
export interface PlaceView {
  readonly busy: boolean;
  /** Tokens that it holds. */
  readonly held: number;
}

/**
 * The free slot that a request had best use in place of `wanted`, whose contents move there: libllama evaluates
 * the rows of neighbouring sequences in one pass over the weights, and those of others in passes of their
 * own. So the busy slots shall be few runs of neighbours; the least is moved for it.
 *
 * @param most tokens of both slots that are worth moving
 */
export function neighbour(slots: readonly PlaceView[], wanted: number, most: number): number {
  if (!slots.some(({ busy }) => busy)) return wanted;
  const busyAt = (slot: number) => slots[slot]?.busy === true;
  // A slot beside a run prolongs it, one between two runs makes them one.
  const runs = (slot: number) => 1 - Number(busyAt(slot - 1)) - Number(busyAt(slot + 1));
  const own = slots[wanted]?.held ?? 0;
  let best = { slot: wanted, runs: runs(wanted), held: 0 };
  slots.forEach(({ busy, held }, slot) => {
    if (busy || slot === wanted || own + held > most) return;
    const found = { slot, runs: runs(slot), held };
    const less = found.runs === best.runs && best.slot !== wanted && held < best.held;
    if (found.runs < best.runs || less) best = found;
  });
  return best.slot;
}
