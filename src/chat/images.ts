/** Images in a rendered prompt: where a marker `[img-n]` stands, the image goes (template.md 7). */
import type { PromptPart } from "../engine/engine.ts";

/**
 * The prompt in parts. Images without a marker go in front; a marker without an image is text.
 *
 * @param pieces the prompt, cut as `PromptPart` wants it
 * @param images files, in the order of their markers' numbers
 */
export function withImages(pieces: readonly string[], images: readonly Uint8Array[]): PromptPart[] {
  const seen = new Set<number>();
  const parts = pieces.flatMap((piece) => split(piece, images, seen));
  const unmarked = images.filter((_, number) => !seen.has(number));
  return [...unmarked.map((media) => ({ media })), ...parts];
}

/** One piece in parts; `seen` gets the numbers of the images in it. */
function split(piece: string, images: readonly Uint8Array[], seen: Set<number>): PromptPart[] {
  const parts: PromptPart[] = [];
  let end = 0;
  const text = (to: number) => {
    if (to > end) parts.push({ text: piece.slice(end, to), parseSpecial: true });
  };
  for (const marker of piece.matchAll(/\[img-(\d+)\]/g)) {
    const number = Number(marker[1]);
    const media = images[number];
    if (media === undefined) continue;
    text(marker.index);
    parts.push({ media });
    seen.add(number);
    end = marker.index + marker[0].length;
  }
  text(piece.length);
  return parts;
}
