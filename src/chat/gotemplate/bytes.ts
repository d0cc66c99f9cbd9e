/**
 * Go's strings are bytes, JavaScript's are UTF-16. Here a byte that is no UTF-8 stands as a lone
 * surrogate, U+DC00 plus the byte, so that cutting a character in two and joining it again gives the
 * character back, and lengths count bytes.
 */
const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lossy = new TextDecoder("utf-8", { ignoreBOM: true });

const isStray = (unit: number) => unit >= 0xdc80 && unit <= 0xdcff;

/** The bytes of a text. */
export function toBytes(text: string): Uint8Array {
  if (text.isWellFormed()) return encoder.encode(text);
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (isStray(code)) bytes.push(code - 0xdc00);
    else bytes.push(...encoder.encode(character));
  }
  return new Uint8Array(bytes);
}

/** The text of bytes; what is no UTF-8 stays as it is, byte by byte. */
export function fromBytes(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return decodeLoosely(bytes);
  }
}

function decodeLoosely(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at] ?? 0;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    try {
      text += strict.decode(bytes.subarray(at, at + length));
      at += length;
    } catch {
      text += String.fromCharCode(0xdc00 + lead);
      at++;
    }
  }
  return text;
}

/** Length in bytes. */
export function byteLength(text: string): number {
  return text.isWellFormed() ? Buffer.byteLength(text) : toBytes(text).length;
}

/** A text for the world outside: stray bytes become replacement characters. */
export function wellFormed(text: string): string {
  return text.isWellFormed() ? text : lossy.decode(toBytes(text));
}

/** Order of bytes, as Go compares strings. */
export function compareBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(toBytes(a), toBytes(b));
}
