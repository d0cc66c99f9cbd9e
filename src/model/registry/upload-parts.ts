/** How an upload is cut into parts, and the tag of their hashes that ends it (registry.md 5). Pure. */
import type { Range } from "./ranges.ts";

const megabyte = 1_000_000;

/** Size of parts, bytes: the same for all but the last, as storage behind a registry demands. */
export interface PartSizes {
  readonly least: number;
  readonly most: number;
}

/** What the reference sends to registries that speak its dialect. */
export const ownDialect: PartSizes = { least: 100 * megabyte, most: 1000 * megabyte };
/** For every other registry: what is lost when a connection is cut. */
export const ociDialect: PartSizes = { least: 16 * megabyte, most: 128 * megabyte };

/** @param least smallest part that the registry takes (`OCI-Chunk-Min-Length`), bytes */
export function partSize(total: number, sizes: PartSizes, least = 0): number {
  const wanted = Math.ceil(total / 16);
  return Math.max(least, Math.min(sizes.most, Math.max(sizes.least, wanted)));
}

/** The parts of `[start, total)`, in order; none for an empty blob. */
export function partsOf(start: number, total: number, size: number): Range[] {
  const parts: Range[] = [];
  for (let at = start; at < total; at += size) parts.push([at, Math.min(total, at + size)]);
  return parts;
}

/** `<md5 of the parts' raw md5s>-<number of parts>` */
export function uploadTag(md5s: readonly string[]): string {
  const hasher = new Bun.CryptoHasher("md5");
  for (const md5 of md5s) hasher.update(Buffer.from(md5, "hex"));
  return `${hasher.digest("hex")}-${md5s.length}`;
}

/**
 * Bytes that a registry says it has: `Range: 0-<last>` (OCI distribution, "pushing a blob in chunks").
 * `0-0` is what docker's says of none as well as of one byte; nobody uploads one byte in parts.
 */
export function receivedBytes(range: string | null): number | undefined {
  const last = /^(?:bytes=)?0-(\d+)$/.exec(range ?? "")?.[1];
  if (last === undefined) return undefined;
  return last === "0" ? 0 : Number(last) + 1;
}
