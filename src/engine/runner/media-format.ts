/**
 * What the bytes of an image or a sound are, and their form for the projector. By the bytes alone:
 * clients give no type (api.md 5).
 */
import { errorMessage, InvalidRequestError } from "../../errors.ts";

export type MediaFormat = "PNG" | "JPEG" | "GIF" | "WebP" | "BMP" | "WAV" | "MP3" | "FLAC";

const soundFormats: ReadonlySet<string> = new Set(["WAV", "MP3", "FLAC"]);

/** More pixels than any projector looks at; a small file can claim many more. */
const mostPixels = 100_000_000;

/** Beginnings that say what a file is: at a byte offset, as Latin-1 text. */
const beginnings: readonly [format: string, offset: number, text: string][] = [
  ["PNG", 0, "\x89PNG\r\n\x1a\n"],
  ["JPEG", 0, "\xff\xd8\xff"],
  ["GIF", 0, "GIF8"],
  ["WebP", 8, "WEBP"],
  ["WAV", 8, "WAVE"],
  ["BMP", 0, "BM"],
  ["FLAC", 0, "fLaC"],
  ["MP3", 0, "ID3"],
  // Not read; named in the refusal.
  ["TIFF", 0, "II*\0"],
  ["TIFF", 0, "MM\0*"],
  ["AVIF", 4, "ftypavif"],
  ["HEIC", 4, "ftyphei"],
  ["HEIC", 4, "ftypmif1"],
  ["MP4", 4, "ftyp"],
  ["Ogg", 0, "OggS"],
  ["PDF", 0, "%PDF"],
  ["SVG", 0, "<svg"],
  ["XML", 0, "<?xml"],
];

const readable: readonly string[] = ["PNG", "JPEG", "GIF", "WebP", "BMP", "WAV", "MP3", "FLAC"];

/** @returns the format, also of some that hutch does not read; undefined for anything else */
function formatOf(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 32)).toString(
    "latin1",
  );
  const found = beginnings.find(([, offset, text]) => head.startsWith(text, offset));
  if (found !== undefined) return found[0];
  // An MP3 without tags begins with a frame: eleven bits set (a JPEG was told above).
  return bytes[0] === 0xff && ((bytes[1] ?? 0) & 0xe0) === 0xe0 ? "MP3" : undefined;
}

export function isSound(format: MediaFormat): boolean {
  return soundFormats.has(format);
}

/** @throws InvalidRequestError naming the format that cannot be read */
export function readableFormat(bytes: Uint8Array): MediaFormat {
  const format = formatOf(bytes);
  if (format !== undefined && readable.includes(format)) return format as MediaFormat;
  const what = format === undefined ? "it has no known format" : `it is ${format}`;
  throw new InvalidRequestError(
    `${what}; images may be PNG, JPEG, WebP, GIF or BMP, sound WAV, MP3 or FLAC`,
  );
}

/**
 * The bytes as mtmd reads them: it has no WebP decoder, so that becomes PNG. Heads of images are
 * checked first, so that no file makes its decoder allocate without bounds.
 *
 * @throws InvalidRequestError when the head is broken or claims too many pixels
 */
export async function forProjector(bytes: Uint8Array, format: MediaFormat): Promise<Uint8Array> {
  if (isSound(format)) return bytes;
  try {
    const image = new Bun.Image(bytes, { maxPixels: mostPixels, autoOrient: false });
    if (format === "WebP") return await image.png({ compressionLevel: 0 }).bytes();
    const { width, height } = await image.metadata();
    if (width * height > mostPixels) throw new Error(`it has ${width} x ${height} pixels`);
    return bytes;
  } catch (error) {
    throw new InvalidRequestError(`${format} cannot be read: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
