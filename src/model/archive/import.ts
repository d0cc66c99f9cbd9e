/**
 * Import: models from an archive into the store. Blobs are hashed on their way in; a model is visible
 * only when all of its blobs are there, and what is not part of a model does not stay.
 */
import { createReadStream, readFileSync } from "node:fs";
import { createTarDecoder, type ParsedTarEntry } from "modern-tar";
import { AppError, ArchiveError, errorMessage } from "../../errors.ts";
import type { Digest } from "../digest.ts";
import { largestManifest } from "../manifest.ts";
import type { ModelName } from "../name.ts";
import { readRemoteManifest } from "../registry/remote-manifest.ts";
import type { Store } from "../store.ts";
import type { ArchiveProgress } from "./export.ts";
import { type ArchivedModel, entryKind, indexFile, layoutFile, readIndex } from "./layout.ts";

/** Most entries of an archive: layers, manifests, folders. */
const mostEntries = 25_000;
/** Most bytes of the layout's own files. */
const mostText = 4 * 2 ** 20;

/**
 * Imports every model of an archive. Returns their names.
 * @param as name to use instead of the archive's, for an archive with one model
 * @throws ArchiveError, DigestMismatchError, StoreError; then the store is as it was
 */
export async function importModels(
  store: Store,
  path: string,
  as: ModelName | undefined,
  onProgress: (progress: ArchiveProgress) => void,
): Promise<ModelName[]> {
  const added = new Set<Digest>();
  try {
    using _lease = store.lease();
    const index = await readEntries(store, path, added, onProgress);
    const models = readIndex(index, as);
    const checked = models.map((model) => ({ ...model, ...checkedManifest(store, model) }));
    for (const { name, bytes, blobs } of checked) {
      const [lost] = store.putManifestBytes(name, bytes, blobs);
      if (lost !== undefined) throw new ArchiveError(`${lost} was removed meanwhile, try again`);
    }
    return checked.map(({ name }) => store.stored(name));
  } finally {
    // Manifests lie among the blobs of an archive; in the store they have their own place.
    store.removeUnmentioned(added);
  }
}

/** Reads the archive through; returns the text of its index. */
async function readEntries(
  store: Store,
  path: string,
  added: Set<Digest>,
  onProgress: (progress: ArchiveProgress) => void,
): Promise<string> {
  let layout: string | undefined;
  let index: string | undefined;
  let count = 0;
  for await (const entry of entriesOf(path)) {
    if (++count > mostEntries)
      throw new ArchiveError(`the archive has over ${mostEntries} entries`);
    const kind = entryKind(entry.header.name, entry.header.type ?? "file");
    if (kind.kind === "layout") layout = await smallText(entry);
    else if (kind.kind === "index") index = await smallText(entry);
    else if (kind.kind === "blob") await takeBlob(store, entry, kind.digest, added, onProgress);
    else await entry.body.cancel();
  }
  if (layout === undefined)
    throw new ArchiveError(`the archive has no ${layoutFile}: it is no OCI layout`);
  if (index === undefined) throw new ArchiveError(`the archive has no ${indexFile}`);
  return index;
}

/** The entries of a tar, in order. @throws ArchiveError */
async function* entriesOf(path: string): AsyncGenerator<ParsedTarEntry> {
  const head = new Uint8Array(await Bun.file(path).slice(0, 6).arrayBuffer());
  if (head[0] === 0x1f && head[1] === 0x8b) {
    throw new ArchiveError(`${path} is compressed with gzip: decompress it first`);
  }
  const { readable, writable } = createTarDecoder({ strict: true });
  const writer = writable.getWriter();
  const feeding = (async () => {
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 18 })) {
      await writer.write(new Uint8Array(chunk as Buffer));
    }
    await writer.close();
  })();
  // The reader below hears of a failure as well; whichever comes first is told.
  feeding.catch((error: unknown) => writer.abort(error).catch(() => {}));
  try {
    for await (const entry of readable) yield entry;
    await feeding;
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new ArchiveError(`read ${path}: ${errorMessage(error)}`, { cause: error });
  }
}

async function smallText({ header, body }: ParsedTarEntry): Promise<string> {
  if (header.size > mostText)
    throw new ArchiveError(`${header.name} is larger than ${mostText} bytes`);
  return new Response(body).text();
}

async function takeBlob(
  store: Store,
  { header, body }: ParsedTarEntry,
  digest: Digest,
  added: Set<Digest>,
  onProgress: (progress: ArchiveProgress) => void,
): Promise<void> {
  store.touch(digest);
  if (store.hasBlob(digest)) {
    await body.cancel();
    return;
  }
  let completed = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      completed += chunk.length;
      onProgress({ digest, completed, total: header.size });
      yield chunk;
    }
  }
  const { created } = await store.putStream(counted(), digest);
  if (created) added.add(digest);
}

/** The manifest of an archived model, when everything that it names is there. */
function checkedManifest(
  store: Store,
  { manifest, name }: ArchivedModel,
): { bytes: Uint8Array; blobs: Digest[] } {
  const path = store.blobPath(manifest);
  const size = Bun.file(path).size;
  if (!store.hasBlob(manifest)) throw new ArchiveError(`the archive has no manifest ${manifest}`);
  if (size > largestManifest) {
    throw new ArchiveError(`the manifest ${manifest} is larger than ${largestManifest} bytes`);
  }
  const bytes = readFileSync(path);
  const { blobs } = readRemoteManifest(bytes, `${name.namespace}/${name.model}`);
  for (const blob of blobs) {
    if (!store.hasBlob(blob.digest))
      throw new ArchiveError(`the archive lacks the blob ${blob.digest}`);
    const there = Bun.file(store.blobPath(blob.digest)).size;
    if (blob.size > 0 && there !== blob.size) {
      throw new ArchiveError(`${blob.digest} has ${there} bytes, the manifest says ${blob.size}`);
    }
  }
  return { bytes, blobs: blobs.map(({ digest }) => digest) };
}
