/**
 * Reads a file forward in bounded pieces. Every read says what it is for, so that a cut file's error
 * names the field and the byte offset. Never allocates more than a chunk for what a file claims.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { GgufError } from "../../errors.ts";

const chunkBytes = 256 * 1024;
/** Longest string of a GGUF, bytes; the reference's bound. */
const longestString = 16 * 2 ** 20;

const utf8 = new TextDecoder("utf-8", { fatal: true });

export class Cursor {
  readonly size: number;
  #file: number;
  #chunk = Buffer.alloc(0);
  /** File offset of the chunk's first byte. */
  #start = 0;
  /** File offset of the next byte. */
  offset = 0;

  constructor(path: string) {
    this.#file = openSync(path, "r");
    const stat = fstatSync(this.#file);
    if (!stat.isFile()) {
      this.close();
      throw new GgufError("not a regular file", "file", 0);
    }
    this.size = stat.size;
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
  }

  get left(): number {
    return this.size - this.offset;
  }

  /** Bytes that are there to be read at once; position within `#chunk` of the first one. */
  #need(count: number, field: string): number {
    if (count > this.left) {
      throw new GgufError(
        `unexpected EOF in ${field} at byte ${this.offset}: ${count} bytes wanted, ${this.left} left`,
        field,
        this.offset,
      );
    }
    const end = this.#start + this.#chunk.length;
    if (this.offset < this.#start || this.offset + count > end) {
      const wanted = Math.min(this.left, Math.max(count, chunkBytes));
      const chunk = Buffer.allocUnsafe(wanted);
      let filled = 0;
      while (filled < wanted) {
        const got = readSync(this.#file, chunk, filled, wanted - filled, this.offset + filled);
        if (got === 0) throw new GgufError(`the file became shorter`, field, this.offset + filled);
        filled += got;
      }
      this.#chunk = chunk;
      this.#start = this.offset;
    }
    return this.offset - this.#start;
  }

  u8(field: string): number {
    const at = this.#need(1, field);
    this.offset += 1;
    return this.#chunk.readUInt8(at);
  }

  u32(field: string): number {
    const at = this.#need(4, field);
    this.offset += 4;
    return this.#chunk.readUInt32LE(at);
  }

  u64(field: string): bigint {
    const at = this.#need(8, field);
    this.offset += 8;
    return this.#chunk.readBigUInt64LE(at);
  }

  /** A view of the next bytes, valid until the next read. */
  bytes(count: number, field: string): Buffer {
    const at = this.#need(count, field);
    this.offset += count;
    return this.#chunk.subarray(at, at + count);
  }

  skip(count: number, field: string): void {
    if (count > this.left) this.#need(count, field);
    this.offset += count;
  }

  /** Length of the string that follows, checked against the bound and the file. */
  stringLength(field: string): number {
    const at = this.offset;
    const length = this.u64(field);
    if (length > BigInt(longestString)) {
      throw new GgufError(
        `string length ${length} of ${field} at byte ${at} exceeds the maximum ${longestString}`,
        field,
        at,
      );
    }
    if (length > BigInt(this.left)) {
      throw new GgufError(
        `string length ${length} of ${field} at byte ${at} reaches past the end of the file (unexpected EOF)`,
        field,
        at,
      );
    }
    return Number(length);
  }

  /** A string's text; malformed UTF-8 is an error when `strict`, else replaced. */
  string(field: string, strict: boolean): string {
    const length = this.stringLength(field);
    const at = this.offset;
    const bytes = this.bytes(length, field);
    if (!strict) return bytes.toString("utf8");
    try {
      return utf8.decode(bytes);
    } catch {
      throw new GgufError(`${field} at byte ${at} is not UTF-8`, field, at);
    }
  }
}
