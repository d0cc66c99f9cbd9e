/** Go's constants as they stand in templates: numbers, characters and strings. */
import { fromBytes, toBytes } from "./bytes.ts";
import { Complex } from "./values.ts";

const named: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  "\\": 0x5c,
};

interface Escape {
  /** A byte, or a code point. */
  readonly value: number;
  readonly isByte: boolean;
  readonly length: number;
}

/** The escape that `text` begins with, a backslash first; undefined for a bad one. */
function readEscape(text: string, quote: string): Escape | undefined {
  const letter = text[1] ?? "";
  const simple = letter === quote ? quote.charCodeAt(0) : named[letter];
  if (simple !== undefined) return { value: simple, isByte: false, length: 2 };
  const match = /^\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3}))/.exec(text);
  if (match === null) return undefined;
  const [whole, hex, short, long, octal] = match;
  const length = whole.length;
  if (hex !== undefined) return { value: Number.parseInt(hex, 16), isByte: true, length };
  if (octal !== undefined) {
    const value = Number.parseInt(octal, 8);
    return value > 255 ? undefined : { value, isByte: true, length };
  }
  const value = Number.parseInt(short ?? long ?? "", 16);
  const valid = value <= 0x10ffff && !(value >= 0xd800 && value <= 0xdfff);
  return valid ? { value, isByte: false, length } : undefined;
}

/** A string in double quotes or backquotes, its quotes included; undefined for a bad one. */
export function unquote(source: string): string | undefined {
  const body = source.slice(1, -1);
  if (source.startsWith("`")) return body.replaceAll("\r", "");
  if (!body.includes("\\")) return body;
  const parts: Uint8Array[] = [];
  for (let at = 0; at < body.length; ) {
    const next = body.indexOf("\\", at);
    const end = next < 0 ? body.length : next;
    if (end > at) parts.push(toBytes(body.slice(at, end)));
    at = end;
    if (at === body.length) break;
    const found = readEscape(body.slice(at, at + 10), '"');
    if (found === undefined) return undefined;
    const { value, isByte, length } = found;
    parts.push(isByte ? new Uint8Array([value]) : toBytes(String.fromCodePoint(value)));
    at += length;
  }
  return fromBytes(Buffer.concat(parts));
}

/** The code of a character in single quotes; undefined for a bad one. */
export function readCharacter(source: string): bigint | undefined {
  const body = source.slice(1, -1);
  if (body.startsWith("\\")) {
    const found = readEscape(body, "'");
    return found?.length === body.length ? BigInt(found.value) : undefined;
  }
  const [character, ...more] = body;
  return character === undefined || more.length > 0
    ? undefined
    : BigInt(character.codePointAt(0) ?? 0);
}

/** A whole number beyond the range of int, which fails when it is used. */
export class Overflow {
  constructor(readonly text: string) {}
}

/** Underscores stand between digits only; the base's prefix counts as a digit. */
function underscoresFit(text: string): boolean {
  return !/_(?![\da-f])|(?<![\da-fxob])_/i.test(text) && !/^[+-]?_/.test(text);
}

function readInteger(text: string): bigint | undefined {
  const match =
    /^([+-]?)(?:0(x)([\da-f_]+)|0(b)([01_]+)|0(o)([0-7_]+)|0([0-7_]*)|([1-9][\d_]*))$/i.exec(text);
  if (match === null || !underscoresFit(text)) return undefined;
  const [, sign, , hex, , binary, , octal, old, decimal] = match;
  const digits = (hex ?? binary ?? octal ?? old ?? decimal ?? "").replaceAll("_", "");
  const prefix = hex ? "0x" : binary ? "0b" : octal || old ? "0o" : "";
  const value = BigInt(prefix + (digits === "" ? "0" : digits));
  return sign === "-" ? -value : value;
}

/** A float, decimal or hexadecimal; undefined when it is none, or beyond the range of 64 bits. */
function readFloat(source: string): number | undefined {
  if (!underscoresFit(source)) return undefined;
  const text = source.replaceAll("_", "");
  const hex = /^([+-]?)0x([\da-f]*)(?:\.([\da-f]*))?p([+-]?\d+)$/i.exec(text);
  if (hex !== null) {
    const [, sign, whole = "", fraction = "", exponent] = hex;
    if (whole + fraction === "") return undefined;
    const scale = 2 ** (Number(exponent) - 4 * fraction.length);
    const value = Number.parseInt(whole + fraction, 16) * scale;
    return sign === "-" ? -value : value;
  }
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** A number as Go reads it. @throws Error with Go's reason */
export function readNumber(text: string): bigint | number | Complex | Overflow {
  if (text.endsWith("i")) {
    const imaginary = readFloat(text.slice(0, -1));
    if (imaginary !== undefined) return new Complex(0, imaginary);
  }
  const whole = readInteger(text);
  if (whole !== undefined && BigInt.asIntN(64, whole) === whole) return whole;
  if (whole !== undefined && whole > 0n && BigInt.asUintN(64, whole) === whole) {
    return new Overflow(text);
  }
  const float = readFloat(text);
  if (float !== undefined) {
    if (!/[.ep]/i.test(text)) throw new Error(`integer overflow: ${JSON.stringify(text)}`);
    return float;
  }
  throw new Error(`illegal number syntax: ${JSON.stringify(text)}`);
}

/** `1+2i`, a complex number of two parts. @throws Error with Go's reason */
export function readComplex(text: string): Complex {
  const at = Math.max(text.lastIndexOf("+"), text.lastIndexOf("-"));
  const exponent = /[ep]$/i.test(text.slice(0, at)) && !/^[+-]?0x/i.test(text);
  const cut = exponent
    ? Math.max(text.lastIndexOf("+", at - 1), text.lastIndexOf("-", at - 1))
    : at;
  const real = readFloat(text.slice(0, cut));
  const imaginary = readFloat(text.slice(cut, -1));
  if (real === undefined || imaginary === undefined) {
    throw new Error(`illegal number syntax: ${JSON.stringify(text)}`);
  }
  return new Complex(real, imaginary);
}
