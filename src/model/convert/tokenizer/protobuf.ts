/**
 * Just enough of protobuf's wire format to read a SentencePiece model: fields in order, every length
 * held against the bytes that are left.
 */
import { ConvertError } from "../../../errors.ts";

export type Field =
  | { readonly number: number; readonly wire: 0; readonly value: number }
  | { readonly number: number; readonly wire: 2; readonly bytes: Uint8Array }
  | { readonly number: number; readonly wire: 1 | 5; readonly bytes: Uint8Array };

/**
 * @param what name of the file, for errors
 * @throws ConvertError at the byte that is wrong
 */
export function* fields(bytes: Uint8Array, what: string, base = 0): Generator<Field> {
  let at = 0;
  const fail = (why: string): never => {
    throw new ConvertError(`parse ${what}: ${why} at byte ${base + at}`);
  };
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at] ?? fail("unexpected EOF");
      at++;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return fail("a number without end");
  };
  const take = (count: number): Uint8Array => {
    if (count > bytes.length - at) fail(`a field of ${count} bytes reaches past the end`);
    at += count;
    return bytes.subarray(at - count, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (number === 0) fail("field number 0");
    if (wire === 0) yield { number, wire, value: varint() };
    else if (wire === 2) yield { number, wire, bytes: take(varint()) };
    else if (wire === 1 || wire === 5) yield { number, wire, bytes: take(wire === 1 ? 8 : 4) };
    else fail(`wire type ${wire} is not supported`);
  }
}
