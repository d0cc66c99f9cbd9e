/** Floats as decimal and hexadecimal digits, rounded exactly (half to even), as Go's strconv does. */

/** A finite float as `mantissa` × 2^`exponent`, exactly. */
function parts(value: number): { mantissa: bigint; exponent: number } {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const all = bits.getBigUint64(0);
  const biased = Number((all >> 52n) & 0x7ffn);
  const fraction = all & 0xfffffffffffffn;
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: biased - 1075 };
}

function divideRounded(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twice = 2n * (numerator % denominator);
  const up = twice > denominator || (twice === denominator && quotient % 2n === 1n);
  return up ? quotient + 1n : quotient;
}

/** `value` × 10^`power` as a whole number; value >= 0. */
function scaled(value: number, power: number): bigint {
  const { mantissa, exponent } = parts(value);
  let numerator = mantissa;
  let denominator = 1n;
  if (exponent >= 0) numerator <<= BigInt(exponent);
  else denominator <<= BigInt(-exponent);
  if (power >= 0) numerator *= 10n ** BigInt(power);
  else denominator *= 10n ** BigInt(-power);
  return divideRounded(numerator, denominator);
}

/** Digits of a decimal, the point after `point` of them. */
export interface Decimal {
  readonly digits: string;
  readonly point: number;
}

/** The shortest digits that give the same float again; value >= 0. */
export function shortest(value: number): Decimal {
  if (value === 0) return { digits: "0", point: 1 };
  const [mantissa = "", exponent] = value.toExponential().split("e");
  return { digits: mantissa.replace(".", ""), point: Number(exponent) + 1 };
}

/** `count` digits (>= 1). */
export function rounded(value: number, count: number): Decimal {
  if (value === 0) return { digits: "0".repeat(count), point: 1 };
  let point = shortest(value).point;
  let digits = scaled(value, count - point).toString();
  // The shortest digits may lie on the other side of a power of ten.
  if (digits.length < count) digits = scaled(value, count - --point).toString();
  if (digits.length > count) {
    point++;
    digits = digits.slice(0, count);
  }
  return { digits, point };
}

/** `%f`: `fraction` digits behind the point. */
export function fixed(value: number, fraction: number): string {
  const digits = scaled(value, fraction)
    .toString()
    .padStart(fraction + 1, "0");
  const whole = digits.slice(0, digits.length - fraction);
  return fraction === 0 ? whole : `${whole}.${digits.slice(-fraction)}`;
}

function exponentText(letter: string, exponent: number): string {
  const sign = exponent < 0 ? "-" : "+";
  return `${letter}${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** `%e` of digits. */
export function scientific({ digits, point }: Decimal): string {
  const fraction = digits.slice(1);
  return `${digits[0]}${fraction === "" ? "" : `.${fraction}`}${exponentText("e", point - 1)}`;
}

/** Digits without an exponent. */
export function plain({ digits, point }: Decimal): string {
  if (point <= 0) return `0.${"0".repeat(-point)}${digits}`;
  const padded = digits.padEnd(point, "0");
  return padded.length === point ? padded : `${padded.slice(0, point)}.${padded.slice(point)}`;
}

/** `%g`: with an exponent when it is below -4, or not below the precision (6 for the shortest form). */
export function general(value: number, precision: number | undefined): string {
  const found = precision === undefined ? shortest(value) : rounded(value, Math.max(1, precision));
  const digits = found.digits.replace(/0+$/, "") || "0";
  const decimal = { digits, point: found.point };
  let limit = precision === undefined ? 6 : Math.max(1, precision);
  if (precision !== undefined && limit > digits.length && digits.length >= decimal.point) {
    limit = digits.length;
  }
  const exponent = decimal.point - 1;
  return exponent < -4 || exponent >= limit ? scientific(decimal) : plain(decimal);
}

/** `%b`: mantissa and exponent of two. */
export function binary(value: number): string {
  const { mantissa, exponent } = parts(value);
  return `${mantissa}p${exponent < 0 ? "" : "+"}${exponent}`;
}

/** `%x`: one digit before the point, `precision` behind it, or as many as it takes. */
export function hexadecimal(value: number, precision: number | undefined): string {
  let { mantissa, exponent } = parts(value);
  if (mantissa === 0n) {
    return `0x0${precision ? `.${"0".repeat(precision)}` : ""}p+00`;
  }
  while (mantissa >> 52n === 0n) {
    mantissa <<= 1n;
    exponent--;
  }
  if (precision !== undefined && precision < 13) {
    const drop = BigInt(4 * (13 - precision));
    mantissa = divideRounded(mantissa, 1n << drop) << drop;
    if (mantissa >> 53n !== 0n) {
      mantissa >>= 1n;
      exponent++;
    }
  }
  const fraction = (mantissa & 0xfffffffffffffn).toString(16).padStart(13, "0");
  const shown =
    precision === undefined
      ? fraction.replace(/0+$/, "")
      : fraction.slice(0, precision).padEnd(precision, "0");
  return `0x1${shown === "" ? "" : `.${shown}`}${exponentText("p", exponent + 52)}`;
}
