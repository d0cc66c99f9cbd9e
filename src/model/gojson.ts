/**
 * JSON and numbers as Go writes them. Digests of params and messages layers depend on every byte
 * (store.md 4), and so do texts that show prints.
 */

/** `<`, `>`, `&` and the two line separators are escaped, as Go's encoder does. */
export function goJsonString(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Compact JSON with the keys of maps sorted bytewise; `undefined` members are left out. */
export function goJson(value: unknown, sorted = true): string {
  if (value === null || value === undefined) return "null";
  if (typeof value === "string") return goJsonString(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") return goJsonNumber(value);
  if (typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => goJson(item, sorted)).join(",")}]`;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (sorted) entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${entries.map(([key, item]) => `${goJsonString(key)}:${goJson(item, sorted)}`).join(",")}}`;
}

/** Go writes an exponent from the same sizes on as JavaScript, and it too drops its leading zero. */
function goJsonNumber(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** Powers of ten that a double holds exactly. */
const powersOfTen = Array.from({ length: 23 }, (_, i) => 10 ** i);

/**
 * The number that a 32-bit float shows as: the shortest digits that give the same float. Without
 * texts, because an answer may have a hundred thousand of them: whole numbers of 6 to 9 digits over an
 * exact power of ten are tried (up to 6 digits any decimal finds its way back from a float).
 */
export function shortFloat32(value: number): number {
  const single = Math.fround(value);
  if (single === 0 || !Number.isFinite(single)) return single;
  const exponent = Math.floor(Math.log10(Math.abs(single)));
  for (let digits = 6; digits <= 9; digits++) {
    const places = digits - 1 - exponent;
    const power = powersOfTen[Math.abs(places)];
    if (power === undefined) return shortFloat32ByText(single); // far from one
    const short =
      places < 0 ? roundEven(single / power) * power : roundEven(single * power) / power;
    if (Math.fround(short) === single) return short;
  }
  return single;
}

/** The nearest whole number; of two, the even one, as Go does. */
function roundEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function shortFloat32ByText(single: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(single.toPrecision(digits));
    if (Math.fround(short) === single) return short;
  }
  return single;
}

/**
 * A 64-bit float as Go's `%v` prints it: exponent form below 1e-4 and from 1e21 up. From one million
 * up Go would write whole numbers with an exponent, which cannot be read back as an integer: those
 * are written plainly (modelfile.md 6).
 */
export function goNumber(value: number): string {
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  const text = String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return text;
  const shortest = /^(-?)(\d)(?:\.(\d+))?e([+-])(\d+)$/.exec(value.toExponential());
  if (shortest !== null && (exponent < -4 || exponent >= 21)) {
    const [, sign, first, rest, expSign, exp] = shortest;
    return `${sign}${first}${rest === undefined ? "" : `.${rest}`}e${expSign}${(exp ?? "").padStart(2, "0")}`;
  }
  return text;
}

/** A string in double quotes with Go's escapes (`%q`). */
export function goQuote(text: string): string {
  let quoted = '"';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const named = { 7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r" }[
      code
    ];
    if (named !== undefined) quoted += named;
    else if (character === '"' || character === "\\") quoted += `\\${character}`;
    else if (code < 0x20 || code === 0x7f) quoted += `\\x${code.toString(16).padStart(2, "0")}`;
    else if (printable(character)) quoted += character;
    else if (code > 0xffff) quoted += `\\U${code.toString(16).padStart(8, "0")}`;
    else quoted += `\\u${code.toString(16).padStart(4, "0")}`;
  }
  return `${quoted}"`;
}

/** Go's notion of printable: letters, marks, numbers, punctuation, symbols and the ASCII blank. */
function printable(character: string): boolean {
  return character === " " || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character);
}
