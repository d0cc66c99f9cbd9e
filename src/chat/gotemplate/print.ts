/** Values as Go's fmt prints them: one operand under one verb and its flags. */
import { goQuote } from "../../model/gojson.ts";
import { toBytes } from "./bytes.ts";
import { binary, fixed, general, hexadecimal, rounded, scientific } from "./digits.ts";
import { CallError } from "./errors.ts";
import {
  Byte,
  Complex,
  entriesOf,
  isNothing,
  Struct,
  sortedEntries,
  textOf,
  typeName,
} from "./values.ts";

/** Longest text that a function may make, in UTF-16 units: widths multiply with operands and members. */
const longestText = 64 * 2 ** 20;

/** Texts one behind the other. @throws CallError when they are too long together */
export function joinTexts(texts: Iterable<string>, between = ""): string {
  let out = "";
  let first = true;
  for (const text of texts) {
    out += first ? text : between + text;
    first = false;
    if (out.length > longestText) throw new CallError("the output is too long");
  }
  return out;
}

/** Flags, width and precision of one verb. */
export interface Flags {
  readonly minus: boolean;
  readonly plus: boolean;
  readonly sharp: boolean;
  readonly space: boolean;
  readonly zero: boolean;
  readonly width: number | undefined;
  readonly precision: number | undefined;
  /** `%#v`: as Go source. */
  readonly goSyntax?: boolean;
  /** `%+v`: structs with names of fields. */
  readonly withNames?: boolean;
}

export const noFlags: Flags = {
  minus: false,
  plus: false,
  sharp: false,
  space: false,
  zero: false,
  width: undefined,
  precision: undefined,
};

function pad(text: string, flags: Flags): string {
  const missing = (flags.width ?? 0) - [...text].length;
  if (missing <= 0) return text;
  if (flags.minus) return text + " ".repeat(missing);
  return (flags.zero ? "0" : " ").repeat(missing) + text;
}

/** What stands for a value that a verb cannot show. */
function bad(verb: string, value: unknown, flags: Flags): string {
  if (isNothing(value)) return `%!${verb}(<nil>)`;
  return `%!${verb}(${typeName(value)}=${format(value, "v", flags, true)})`;
}

const bases: Readonly<Record<string, number>> = { b: 2, d: 10, o: 8, O: 8, v: 10, x: 16, X: 16 };

function integer(value: bigint, verb: string, flags: Flags): string | undefined {
  if (verb === "c" || verb === "q") {
    const character = codePoint(value);
    return pad(verb === "c" ? character : quoteCharacter(character, flags.plus), flags);
  }
  if (verb === "U") return pad(unicode(value, flags), { ...flags, zero: false });
  const base = bases[verb];
  if (base === undefined) return undefined;
  const { precision, width, zero, minus, plus, space } = flags;
  if (precision === 0 && value === 0n) return " ".repeat(width ?? 0);
  let digits = (value < 0n ? -value : value).toString(base);
  if (verb === "X") digits = digits.toUpperCase();
  const sign = value < 0n ? "-" : plus ? "+" : space ? " " : "";
  const filled = zero && !minus && precision === undefined && width !== undefined;
  digits = digits.padStart(precision ?? (filled ? width - sign.length : 0), "0");
  if (flags.sharp) digits = prefixed(digits, verb);
  if (verb === "O") digits = `0o${digits}`;
  return pad(sign + digits, { ...flags, zero: false });
}

function prefixed(digits: string, verb: string): string {
  switch (verb) {
    case "b":
      return `0b${digits}`;
    case "o":
    case "O":
      return digits.startsWith("0") ? digits : `0${digits}`;
    case "x":
    case "X":
      return `0${verb}${digits}`;
    default:
      return digits;
  }
}

function codePoint(value: bigint): string {
  const valid = value >= 0n && value <= 0x10ffffn && !(value >= 0xd800n && value <= 0xdfffn);
  return valid ? String.fromCodePoint(Number(value)) : "\ufffd";
}

function isPrintable(character: string): boolean {
  return character === " " || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character);
}

function unicode(value: bigint, { sharp, precision = 4 }: Flags): string {
  const digits = BigInt.asUintN(64, value).toString(16).toUpperCase();
  const text = `U+${digits.padStart(Math.max(4, precision), "0")}`;
  const inRange = value >= 0n && value <= 0x10ffffn;
  const character = inRange ? String.fromCodePoint(Number(value)) : "";
  return sharp && inRange && isPrintable(character) ? `${text} '${character}'` : text;
}

function ascii(quoted: string): string {
  return quoted.replace(/[^ -~]/gu, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16);
    return hex.length > 4 ? `\\U${hex.padStart(8, "0")}` : `\\u${hex.padStart(4, "0")}`;
  });
}

function quoteCharacter(character: string, onlyAscii: boolean): string {
  const body = goQuote(character).slice(1, -1).replace('\\"', '"');
  const quoted = `'${character === "'" ? "\\'" : body}'`;
  return onlyAscii ? ascii(quoted) : quoted;
}

/** Digits of a finite float >= 0. */
function digitsOf(value: number, verb: string, precision: number | undefined): string {
  switch (verb) {
    case "b":
      return binary(value);
    case "e":
      return scientific(rounded(value, (precision ?? 6) + 1));
    case "f":
      return fixed(value, precision ?? 6);
    case "x":
      return hexadecimal(value, precision);
    default:
      return general(value, precision);
  }
}

/** `#` shows the point always, and the zeros behind it that `%g` drops. */
function withPoint(text: string, verb: string, precision: number | undefined): string {
  const at = verb === "x" ? text.indexOf("p") : text.indexOf("e");
  const number = at < 0 ? text : text.slice(0, at);
  const tail = at < 0 ? "" : text.slice(at);
  const pointed = number.includes(".") ? number : `${number}.`;
  if (verb === "x") {
    // Go counts the letter of the prefix among the digits.
    const counted = number.replace(".", "").length - 1;
    return pointed + "0".repeat(Math.max(0, (precision ?? 6) - counted)) + tail;
  }
  if (verb !== "g" && verb !== "v") return pointed + tail;
  const significant = number.replace(".", "").replace(/^0+/, "").length;
  const zero = significant === 0 && number === "0" ? 1 : 0;
  const wanted = (precision ?? 6) - significant - zero;
  return pointed + "0".repeat(Math.max(0, wanted)) + tail;
}

function float(value: number, verb: string, flags: Flags): string | undefined {
  if (!/^[vbgGxXfFeE]$/.test(verb)) return undefined;
  const sign = value < 0 || Object.is(value, -0) ? "-" : flags.plus ? "+" : flags.space ? " " : "";
  const size = Math.abs(value);
  if (!Number.isFinite(size)) {
    const text = Number.isNaN(size) ? `${sign.replace("-", "")}NaN` : `${sign || "+"}Inf`;
    return pad(text, { ...flags, zero: false });
  }
  const lower = verb.toLowerCase();
  let digits = digitsOf(size, lower, flags.precision);
  if (flags.sharp && verb === "X") digits = withPoint(digits, lower, 0);
  else if (flags.sharp && lower !== "b") digits = withPoint(digits, lower, flags.precision);
  if (verb !== lower) digits = digits.toUpperCase();
  const { width = 0, zero, minus } = flags;
  if (zero && !minus) return sign + digits.padStart(width - sign.length, "0");
  return pad(sign + digits, flags);
}

function complex({ real, imaginary }: Complex, verb: string, flags: Flags): string | undefined {
  const first = float(real, verb, flags);
  const second = float(imaginary, verb, { ...flags, plus: true });
  return first === undefined ? undefined : `(${first}${second}i)`;
}

/** Hexadecimal bytes; here the precision counts bytes. */
function hexBytes(text: string, verb: string, flags: Flags): string {
  const bytes = toBytes(text).subarray(0, flags.precision);
  let digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  if (verb === "X") digits = digits.map((pair) => pair.toUpperCase());
  const mark = flags.sharp && digits.length > 0 ? `0${verb}` : "";
  return pad(
    flags.space ? digits.map((pair) => mark + pair).join(" ") : mark + digits.join(""),
    flags,
  );
}

function canBackquote(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones Go excludes
  return text.isWellFormed() && !/[`\ufeff\x7f]|[\x00-\x08\x0a-\x1f]/.test(text);
}

/** A string in quotes; bytes that are no UTF-8 as `\x..`. */
function quote(text: string): string {
  if (text.isWellFormed()) return goQuote(text);
  const shown = Array.from(text, (character) =>
    character.isWellFormed()
      ? goQuote(character).slice(1, -1)
      : `\\x${((character.codePointAt(0) ?? 0) & 0xff).toString(16)}`,
  );
  return `"${shown.join("")}"`;
}

function string(text: string, verb: string, flags: Flags): string | undefined {
  const { precision } = flags;
  const cut = () => (precision === undefined ? text : [...text].slice(0, precision).join(""));
  const quoted = () => {
    const shown = cut();
    if (flags.sharp && canBackquote(shown)) return `\`${shown}\``;
    return flags.plus ? ascii(quote(shown)) : quote(shown);
  };
  switch (verb) {
    case "v":
      return pad(flags.goSyntax ? quoted() : cut(), flags);
    case "s":
      return pad(cut(), flags);
    case "q":
      return pad(quoted(), flags);
    case "x":
    case "X":
      return hexBytes(text, verb, flags);
    default:
      return undefined;
  }
}

/** Lists, maps and structs: the verb goes to their members. */
function composite(value: object, verb: string, flags: Flags): string {
  const member = (item: unknown): string => {
    if (!isNothing(item)) return format(item, verb, flags);
    return flags.goSyntax ? "interface {}(nil)" : "<nil>";
  };
  const { goSyntax = false, withNames = false } = flags;
  const between = goSyntax ? ", " : " ";
  if (Array.isArray(value)) {
    const items = joinTexts(value.values().map(member), between);
    return goSyntax ? `${typeName(value)}{${items}}` : `[${items}]`;
  }
  if (value instanceof Struct) {
    const items = Object.entries(value.fields)
      .values()
      .map(([name, item]) => (goSyntax || withNames ? `${name}:${member(item)}` : member(item)));
    return `${goSyntax ? value.type : ""}{${joinTexts(items, between)}}`;
  }
  const entries = sortedEntries(entriesOf(value) ?? {}).values();
  const items = entries.map(([key, item]) => `${member(key)}:${member(item)}`);
  const text = joinTexts(items, between);
  return goSyntax ? `${typeName(value)}{${text}}` : `map[${text}]`;
}

/**
 * One operand under one verb. `asValue`: the operand of a verb that did not fit, whose String method
 * does not count.
 */
export function format(value: unknown, verb: string, flags: Flags, asValue = false): string {
  if (isNothing(value) && (verb === "v" || verb === "T")) return pad("<nil>", flags);
  if (verb === "T") return string(typeName(value), "s", flags) ?? "";
  let text: string | undefined;
  if (typeof value === "string") text = string(value, verb, flags);
  else if (typeof value === "bigint") text = integer(value, verb, flags);
  else if (value instanceof Byte) text = byte(value, verb, flags);
  else if (typeof value === "number") text = float(value, verb, flags);
  else if (value instanceof Complex) text = complex(value, verb, flags);
  else if (typeof value === "boolean") {
    text = verb === "t" || verb === "v" ? pad(String(value), flags) : undefined;
  } else if (typeof value === "object" && value !== null) {
    const method = asValue || flags.goSyntax ? undefined : textOf(value);
    const shown = method === undefined ? undefined : string(method(), verb, flags);
    text = shown ?? (verb === "p" ? undefined : composite(value, verb, flags));
  }
  return text ?? bad(verb, value, flags);
}

/** A byte is unsigned: its hexadecimal form in `%#v` is all that differs from an int. */
function byte({ value }: Byte, verb: string, flags: Flags): string | undefined {
  if (verb !== "v" || !flags.goSyntax) return integer(value, verb, flags);
  return integer(value, "x", { ...flags, sharp: true });
}

/** A value as an action prints it. */
export function printValue(value: unknown): string {
  if (typeof value === "string") return value;
  return isNothing(value) ? "<no value>" : format(value, "v", noFlags);
}

function* printed(values: readonly unknown[]): Generator<string> {
  for (const [i, value] of values.entries()) {
    const apart = i > 0 && typeof value !== "string" && typeof values[i - 1] !== "string";
    yield (apart ? " " : "") + format(value, "v", noFlags);
  }
}

/** `print`: a blank between operands when neither is a string. @throws CallError when it is too long */
export function sprint(values: readonly unknown[]): string {
  return joinTexts(printed(values));
}

/** `println`: a blank between all operands. @throws CallError when it is too long */
export function sprintln(values: readonly unknown[]): string {
  const texts = values.values().map((value) => format(value, "v", noFlags));
  return `${joinTexts(texts, " ")}\n`;
}
