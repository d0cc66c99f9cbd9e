/**
 * How many streams a download uses: one more while that makes it faster, one less when it does not.
 * Pure; the engine asks once a second.
 */

/** Most streams of one download. */
export const mostStreams = 8;

export interface Pace {
  readonly streams: number;
  /** Bytes a second with `streams`, and with the number before; undefined until measured. */
  readonly rate: number | undefined;
  /** Whether the last change was one more. */
  readonly growing: boolean;
  /** Seconds to go before another change is tried. */
  readonly rest: number;
}

export const firstPace: Pace = { streams: 1, rate: undefined, growing: true, rest: 0 };

/** A tenth more counts as faster. */
const faster = 1.1;

/** @param rate bytes a second since the last call */
export function nextPace(pace: Pace, rate: number): Pace {
  if (pace.rest > 0) return { ...pace, rest: pace.rest - 1 };
  if (pace.rate === undefined) {
    return { streams: pace.streams + 1, rate, growing: true, rest: 0 };
  }
  if (pace.growing && rate > pace.rate * faster) {
    const more = Math.min(mostStreams, pace.streams + 1);
    return { streams: more, rate, growing: more > pace.streams, rest: 0 };
  }
  if (pace.growing) {
    // No gain: back to the number before, and another look in 15 seconds.
    return { streams: Math.max(1, pace.streams - 1), rate, growing: false, rest: 15 };
  }
  return { streams: Math.min(mostStreams, pace.streams + 1), rate, growing: true, rest: 0 };
}

/** A registry that answers 429 or 503 gets half the streams for a while. */
export function slowerPace(pace: Pace): Pace {
  return { ...pace, streams: Math.max(1, Math.floor(pace.streams / 2)), growing: false, rest: 15 };
}
