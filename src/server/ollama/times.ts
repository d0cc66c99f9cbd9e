/** Times on the wire (api.md 1.3). */

/** The second that was written last, and its text up to the dot. */
let lastSecond = Number.NaN;
let lastText = "";

/** The fraction of a second as digits, trailing zeros cut; empty when it is zero. */
function fraction(milliseconds: number): string {
  const digits = String(Math.trunc(milliseconds * 1000))
    .padStart(6, "0")
    .replace(/0+$/, "");
  return digits === "" ? "" : `.${digits}`;
}

/** What the monotonic clock lacks to be the time of day; set anew when that is moved. */
let offset = 0;

/** The time of day with the microseconds that `Date` lacks. Milliseconds since 1970. */
function now(): number {
  for (let tries = 1; ; tries++) {
    const monotonic = performance.now();
    const wall = Date.now();
    const moved = Math.abs(offset + monotonic - wall) > 2;
    // A process that had to wait between the two readings looks like a clock that was moved: once.
    if (moved && tries < 3) continue;
    if (moved) offset = wall - monotonic;
    return offset + monotonic;
  }
}

/** UTC with `Z`, up to six digits of a second, trailing zeros cut. */
export function utcTime(moment = now()): string {
  const second = Math.floor(moment / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastText = new Date(second * 1000).toISOString().slice(0, -5);
  }
  return `${lastText}${fraction(moment - second * 1000)}Z`;
}

/** Local zone with offset, `Z` when that is UTC. */
export function localTime(moment: number): string {
  const minutes = -new Date(moment).getTimezoneOffset();
  const text = utcTime(moment + minutes * 60_000).slice(0, -1);
  if (minutes === 0) return `${text}Z`;
  const two = (n: number) => String(Math.trunc(n)).padStart(2, "0");
  const size = Math.abs(minutes);
  return `${text}${minutes < 0 ? "-" : "+"}${two(size / 60)}:${two(size % 60)}`;
}
