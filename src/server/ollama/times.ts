/** Times on the wire (api.md 1.3). */

/** UTC with `Z`, trailing zeros cut. */
export function utcTime(moment = Date.now()): string {
  return new Date(moment).toISOString().replace(/\.?0*Z$/, "Z");
}

/** Local zone with offset, `Z` when that is UTC. */
export function localTime(moment: number): string {
  const date = new Date(moment);
  const offset = -date.getTimezoneOffset();
  if (offset === 0) return utcTime(moment);
  const shifted = new Date(moment + offset * 60_000).toISOString().replace(/\.?0*Z$/, "");
  const two = (n: number) => String(Math.trunc(n)).padStart(2, "0");
  const size = Math.abs(offset);
  return `${shifted}${offset < 0 ? "-" : "+"}${two(size / 60)}:${two(size % 60)}`;
}
