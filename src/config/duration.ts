/** Go's durations: `1h30m`, `1.5s`, `100ms`. Their texts are part of Ollama's API and command line. */

/** Nanoseconds of each unit; both micro signs are accepted. */
const units: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** The longest duration, about 292 years; stands for "for ever" in keep-alives. */
export const longestDuration = 2n ** 63n - 1n;

/** Go's own quoting of durations: everything beyond ASCII byte by byte. */
function quote(text: string): string {
  const bytes = [...new TextEncoder().encode(text)].map((byte) => {
    if (byte < 0x20 || byte > 0x7e) return `\\x${byte.toString(16).padStart(2, "0")}`;
    const character = String.fromCharCode(byte);
    return character === '"' || character === "\\" ? `\\${character}` : character;
  });
  return `"${bytes.join("")}"`;
}

/**
 * Nanoseconds of a duration text.
 * @throws RangeError with Go's words
 */
export function parseGoDuration(text: string): bigint {
  const invalid = () => new RangeError(`time: invalid duration ${quote(text)}`);
  const sign = /^[+-]/.exec(text)?.[0];
  let rest = sign === undefined ? text : text.slice(1);
  if (rest === "0") return 0n;
  if (rest === "") throw invalid();
  let total = 0n;
  while (rest !== "") {
    const number = /^(\d*)(?:\.(\d*))?/.exec(rest);
    const whole = number?.[1] ?? "";
    const fraction = number?.[2] ?? "";
    if (whole === "" && fraction === "") throw invalid();
    if (whole.length > 18 && BigInt(whole) > longestDuration + 1n) throw invalid();
    rest = rest.slice(number?.[0].length ?? 0);
    const unit = /^[^.\d]+/.exec(rest)?.[0];
    if (unit === undefined) throw new RangeError(`time: missing unit in duration ${quote(text)}`);
    const scale = units[unit];
    if (scale === undefined) {
      throw new RangeError(`time: unknown unit ${quote(unit)} in duration ${quote(text)}`);
    }
    rest = rest.slice(unit.length);
    total += BigInt(whole === "" ? 0 : whole) * scale;
    if (fraction !== "") total += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
    if (total > longestDuration + (sign === "-" ? 1n : 0n)) throw invalid();
  }
  return sign === "-" ? -total : total;
}

/** A number of digits with a fraction whose trailing zeros are cut. */
function decimal(value: bigint, scale: bigint): string {
  const fraction = (value % scale).toString().padStart(scale.toString().length - 1, "0");
  const cut = fraction.replace(/0+$/, "");
  return `${value / scale}${cut === "" ? "" : `.${cut}`}`;
}

/** A duration as Go prints it: `5m0s`, `1.5s`, `100ms`, `0s`. */
export function formatGoDuration(nanoseconds: bigint | number): string {
  const ns = BigInt(nanoseconds);
  if (ns === 0n) return "0s";
  const sign = ns < 0n ? "-" : "";
  const size = ns < 0n ? -ns : ns;
  if (size < 1_000n) return `${sign}${size}ns`;
  if (size < 1_000_000n) return `${sign}${decimal(size, 1_000n)}µs`;
  if (size < 1_000_000_000n) return `${sign}${decimal(size, 1_000_000n)}ms`;
  const minute = 60_000_000_000n;
  const seconds = `${decimal(size % minute, 1_000_000_000n)}s`;
  const minutes = size / minute;
  if (minutes === 0n) return sign + seconds;
  const hours = minutes / 60n;
  return hours === 0n
    ? `${sign}${minutes}m${seconds}`
    : `${sign}${hours}h${minutes % 60n}m${seconds}`;
}

/** A Go duration, or whole seconds (env.md 1); undefined when it is neither. */
export function durationOrSeconds(text: string): bigint | undefined {
  if (/^[+-]?\d+$/.test(text)) return BigInt(text) * 1_000_000_000n;
  try {
    return parseGoDuration(text);
  } catch {
    return undefined;
  }
}
