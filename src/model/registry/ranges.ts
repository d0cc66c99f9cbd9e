/** A set of byte ranges, half open, sorted and disjoint. Pure. */

/** `[start, end)` */
export type Range = readonly [start: number, end: number];

/** Adds a range, merging what touches. */
export function addRange(ranges: readonly Range[], [start, end]: Range): Range[] {
  if (end <= start) return [...ranges];
  const apart = ranges.filter(([from, to]) => to < start || from > end);
  const touching = ranges.filter(([from, to]) => to >= start && from <= end);
  const merged: Range = [
    Math.min(start, ...touching.map(([from]) => from)),
    Math.max(end, ...touching.map(([, to]) => to)),
  ];
  return [...apart, merged].sort(([a], [b]) => a - b);
}

/** End of what is there from byte 0 on without a gap. */
export function frontOf(ranges: readonly Range[]): number {
  const first = ranges[0];
  return first !== undefined && first[0] === 0 ? first[1] : 0;
}

/** Number of bytes in the set. */
export function sizeOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, [start, end]) => sum + end - start, 0);
}

/** What of `[0, total)` is not in the set. */
export function gapsIn(ranges: readonly Range[], total: number): Range[] {
  const gaps: Range[] = [];
  let at = 0;
  for (const [start, end] of ranges) {
    if (start > at) gaps.push([at, Math.min(start, total)]);
    at = Math.max(at, end);
  }
  if (at < total) gaps.push([at, total]);
  return gaps;
}
