/** Verifying a store: every blob that a model names is read and hashed again. */
import { createReadStream, statSync } from "node:fs";
import { errorMessage } from "../errors.ts";
import { type Digest, digestOf, parseDigest } from "./digest.ts";
import { displayName, type ModelName } from "./name.ts";
import type { Store } from "./store.ts";

/** What was found about one blob. */
export interface BlobVerdict {
  readonly digest: Digest;
  /** Models that need it, in their short form. */
  readonly models: readonly ModelName[];
  readonly state: "sound" | "damaged" | "missing";
  /** Bytes on disk. */
  readonly size: number;
  /** Why it is not sound. */
  readonly reason: string | undefined;
}

/** A model whose manifest cannot be read. */
export interface ModelVerdict {
  readonly name: ModelName;
  readonly reason: string;
}

export interface Plan {
  readonly blobs: ReadonlyMap<Digest, readonly ModelName[]>;
  readonly unreadable: readonly ModelVerdict[];
  /** Number of models. */
  readonly models: number;
}

/** What there is to verify: of one model, or of all. */
export function planVerification(store: Store, only: ModelName | undefined): Plan {
  const blobs = new Map<Digest, ModelName[]>();
  const unreadable: ModelVerdict[] = [];
  const names = only === undefined ? store.names() : [store.stored(only)];
  for (const name of names) {
    try {
      for (const text of digestsOf(store, name)) {
        const digest = parseDigest(text);
        blobs.set(digest, [...(blobs.get(digest) ?? []), name]);
      }
    } catch (error) {
      unreadable.push({ name, reason: errorMessage(error) });
    }
  }
  return { blobs, unreadable, models: names.length };
}

/** @throws StoreError when the manifest is damaged, ModelNotFoundError when there is none */
function digestsOf(store: Store, name: ModelName): string[] {
  const found = store.manifest(name);
  if (found === undefined) {
    store.manifestBytes(name); // throws: there is none
    return [];
  }
  const { layers, config } = found.manifest;
  const all = config === undefined ? layers : [...layers, config];
  return all.map(({ digest }) => digest);
}

/** Digest of a file, read once, in order. */
export async function hashFile(path: string, onBytes: (bytes: number) => void): Promise<Digest> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) {
    hasher.update(chunk as Buffer);
    onBytes((chunk as Buffer).length);
  }
  return `sha256:${hasher.digest("hex")}`;
}

/**
 * Hashes one blob again.
 * @param onBytes called with the bytes read, as they are
 */
export async function verifyBlob(
  store: Store,
  digest: Digest,
  models: readonly ModelName[],
  onBytes: (bytes: number) => void,
): Promise<BlobVerdict> {
  const path = store.blobPath(digest);
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  const verdict = { digest, models, size: size ?? 0 };
  if (size === undefined) return { ...verdict, state: "missing", reason: "it is not there" };
  try {
    const actual = size === 0 ? digestOf("") : await hashFile(path, onBytes);
    if (actual === digest) return { ...verdict, state: "sound", reason: undefined };
    return { ...verdict, state: "damaged", reason: `its content is ${actual}` };
  } catch (error) {
    return { ...verdict, state: "damaged", reason: errorMessage(error) };
  }
}

/** Models that a verdict is about, as people write them. */
export function modelsOf({ models }: BlobVerdict): string {
  return models.map(displayName).join(", ");
}
