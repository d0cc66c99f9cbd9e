/** Numbers and times as people read them, in Ollama's forms (cli.md 5.4, store.md 4). */

/** `digits` decimals, halves to even on the exact value, as Go prints `%.1f`. */
function fixed(value: number, digits: number): string {
  return value.toFixed(digits);
}

/** Decimal units: `2 GB`, `2.1 GB`, `42 GB`. */
export function humanBytes(bytes: number): string {
  const scales = [
    [1e12, "TB"],
    [1e9, "GB"],
    [1e6, "MB"],
    [1e3, "KB"],
  ] as const;
  for (const [size, unit] of scales) {
    if (bytes < size) continue;
    const value = bytes / size;
    if (value >= 10) return `${Math.trunc(value)} ${unit}`;
    return value === Math.trunc(value) ? `${value} ${unit}` : `${fixed(value, 1)} ${unit}`;
  }
  return `${bytes} B`;
}

/** Binary units, as in log lines: `1.0 KiB`. */
export function humanBytesBinary(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 2 ** 20) return `${fixed(bytes / 1024, 1)} KiB`;
  if (bytes < 2 ** 30) return `${fixed(bytes / 2 ** 20, 1)} MiB`;
  return `${fixed(bytes / 2 ** 30, 1)} GiB`;
}

/** Rounds halves to the even neighbour. */
function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Counts of parameters: `8.0B`, `7B`, `137M`, `260K`. */
export function humanNumber(count: number): string {
  if (count >= 1e9) return count % 1e9 === 0 ? `${count / 1e9}B` : `${fixed(count / 1e9, 1)}B`;
  if (count >= 1e6) return count % 1e6 === 0 ? `${count / 1e6}M` : `${fixed(count / 1e6, 2)}M`;
  if (count >= 1e3) return `${roundEven(count / 1e3)}K`;
  return String(count);
}

/** A length of time in words: `Less than a second`, `About a minute`, `2 weeks`. */
export function humanDuration(seconds: number): string {
  const whole = Math.trunc(seconds);
  if (whole < 1) return "Less than a second";
  if (whole === 1) return "1 second";
  if (whole < 60) return `${whole} seconds`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / 3600);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(seconds / 3600 / 24 / 365)} years`;
}

/**
 * A moment seen from now: `2 days ago`, `4 minutes from now`; more than 20 years ahead is `Forever`.
 * @param moment milliseconds since 1970, undefined for no time
 * @param none text for no time
 */
export function humanTime(moment: number | undefined, none: string, now = Date.now()): string {
  if (moment === undefined) return none;
  const seconds = (now - moment) / 1000;
  if (Math.trunc(-seconds / 3600 / 24 / 365) > 20) return "Forever";
  return seconds < 0 ? `${humanDuration(-seconds)} from now` : `${humanDuration(seconds)} ago`;
}
