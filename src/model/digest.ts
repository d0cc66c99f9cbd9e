/** Digests of blobs: `sha256:` and 64 hex digits. Checked before any path is made of one (store.md 6). */
import { DigestFormatError } from "../errors.ts";

/** `sha256:` + 64 lower-case hex digits. */
export type Digest = `sha256:${string}`;

/**
 * Accepts `sha256:` and `sha256-` and upper-case hex; the result is the one canonical form.
 * @throws DigestFormatError
 */
export function parseDigest(text: string): Digest {
  const hex = /^sha256[:-]([0-9a-fA-F]{64})$/.exec(text)?.[1];
  if (hex === undefined) throw new DigestFormatError();
  return `sha256:${hex.toLowerCase()}`;
}

/** File name of a blob below `blobs/`. */
export function blobFileName(digest: Digest): string {
  return digest.replace(":", "-");
}

/** Digest of bytes. */
export function digestOf(bytes: string | Uint8Array): Digest {
  return `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
}
