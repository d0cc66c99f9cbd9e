/**
 * Prompts with images and sound: their media read and cut into chunks, one request after the other,
 * off the loop. In the list of tokens each row of a media has a negative number made of the hash of
 * its bytes, so that the prefix cache knows an image by its content.
 */
import { facts, type NativeModel } from "../../../ffi/native.ts";
import type { NativeMedia } from "../../../ffi/native-media.ts";
import { InvalidRequestError } from "../../errors.ts";
import { forProjector, isSound, readableFormat } from "./media-format.ts";

/** A stretch of a prompt that is not text. */
export interface Span {
  /** Index of its first row in the list of tokens. */
  readonly start: number;
  readonly rows: number;
  /** Positions that it takes; with M-RoPE fewer than rows. */
  readonly positions: number;
}

/** A stretch that is still to be evaluated. */
export interface MediaSpan extends Span {
  readonly media: NativeMedia;
  readonly chunk: number;
  readonly atOnce: boolean;
}

/** Tokens of a text, or the bytes of a media. */
export type RawPart = Int32Array | { readonly media: Uint8Array };

export interface MediaPrompt {
  readonly tokens: Int32Array;
  readonly spans: readonly MediaSpan[];
}

/** How often a native thread is asked whether it has finished, in milliseconds. */
export const pollMs = 2;

/** Negative numbers for the rows of a chunk: eight words of a hash, over and over. */
function rowNumbers(hash: string, chunk: number, rows: number): number[] {
  const digest = new Bun.SHA256().update(hash).update(`:${chunk}`).digest();
  const words = new Int32Array(digest.buffer, digest.byteOffset, 8);
  // Below zero, and apart from -1, which means "no token" in places.
  return Array.from({ length: rows }, (_, row) => ((words[row % 8] ?? 0) | 0x8000_0000) & ~1);
}

/** Not `push(...)`: a prompt may have more tokens than a call takes arguments. */
function append(tokens: number[], more: Iterable<number>): void {
  for (const token of more) tokens.push(token);
}

/** Reads the media of prompts, one prompt at a time. */
export class MediaReader {
  readonly #model: NativeModel;
  #last: Promise<unknown> = Promise.resolve();

  constructor(model: NativeModel) {
    this.#model = model;
  }

  /**
   * @param canceled asked now and then; ends the work with an error
   * @throws InvalidRequestError for media that cannot be read, or that the model does not take
   */
  read(parts: readonly RawPart[], canceled: () => boolean): Promise<MediaPrompt> {
    const reading = this.#last.then(() => this.#read(parts, canceled));
    this.#last = reading.catch(() => undefined);
    return reading;
  }

  async #read(parts: readonly RawPart[], canceled: () => boolean): Promise<MediaPrompt> {
    const tokens: number[] = [];
    const spans: MediaSpan[] = [];
    let number = 0;
    try {
      for (const part of parts) {
        if (part instanceof Int32Array) append(tokens, part);
        else await this.#readOne(part.media, ++number, tokens, spans, canceled);
      }
    } catch (error) {
      freeMedia(spans);
      throw error;
    }
    return { tokens: Int32Array.from(tokens), spans };
  }

  async #readOne(
    bytes: Uint8Array,
    number: number,
    tokens: number[],
    spans: MediaSpan[],
    canceled: () => boolean,
  ): Promise<void> {
    let media: NativeMedia | undefined;
    try {
      const format = readableFormat(bytes);
      this.#checkInput(isSound(format));
      media = this.#model.media(await forProjector(bytes, format));
      while (!media.ready()) {
        if (canceled()) throw new InvalidRequestError("the request was given up");
        await Bun.sleep(pollMs);
      }
    } catch (error) {
      media?.free();
      if (!(error instanceof InvalidRequestError)) throw error;
      throw new InvalidRequestError(`read image ${number} of the request: ${error.message}`);
    }
    const hash = new Bun.SHA256().update(bytes).digest("hex");
    for (const { index, rows, positions, tokens: text, atOnce } of media.chunks()) {
      if (text !== undefined) {
        append(tokens, text);
        continue;
      }
      spans.push({ start: tokens.length, rows, positions, media, chunk: index, atOnce });
      append(tokens, rowNumbers(hash, index, rows));
    }
    if (spans.at(-1)?.media !== media) media.free(); // it had nothing to project
  }

  #checkInput(sound: boolean): void {
    if (this.#model.fact(sound ? facts.sound : facts.images) === 1) return;
    throw new InvalidRequestError(
      `this model takes no ${sound ? "sound" : "images"}, only ${sound ? "images" : "sound"}`,
    );
  }
}

/** Frees the native side of all spans. */
export function freeMedia(spans: readonly MediaSpan[]): void {
  for (const media of new Set(spans.map((span) => span.media))) media.free();
}

/** The position of an index in a list of tokens with spans; the index is not inside a span. */
export function positionAt(spans: readonly Span[], index: number): number {
  return spans.reduce(
    (position, { start, rows, positions }) =>
      start < index ? position - rows + positions : position,
    index,
  );
}

/** The largest count up to `count` that does not end inside a span. */
export function wholeSpans(spans: readonly Span[], count: number): number {
  const cut = spans.find(({ start, rows }) => start < count && count < start + rows);
  return cut === undefined ? count : cut.start;
}
