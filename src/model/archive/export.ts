/** Export: a stored model as one file, for machines without a network. What is written was hashed. */
import { createReadStream, statSync } from "node:fs";
import { createTarPacker, type TarPackController } from "modern-tar";
import { ArchiveError } from "../../errors.ts";
import { type Digest, digestOf, parseDigest } from "../digest.ts";
import { PendingFile } from "../files.ts";
import { parseManifest } from "../manifest.ts";
import { fullName, type ModelName } from "../name.ts";
import type { Store } from "../store.ts";
import { blobEntry, indexFile, layoutFile, layoutText, renderIndex } from "./layout.ts";

/** How far an export or import is. */
export interface ArchiveProgress {
  readonly digest: Digest;
  readonly completed: number;
  readonly total: number;
}

/** Fixed, so that the archive of a model is the same wherever and whenever it is made. */
const mtime = new Date(0);

/**
 * Writes a model's archive; the file appears only when it is whole.
 * @throws ModelNotFoundError, ArchiveError for a missing or damaged blob
 */
export async function exportModel(
  store: Store,
  name: ModelName,
  file: { readonly folder: string; readonly path: string },
  onProgress: (progress: ArchiveProgress) => void,
): Promise<void> {
  const bytes = store.manifestBytes(name);
  const manifest = { digest: digestOf(bytes), size: bytes.length };
  const { layers, config } = parseManifest(new TextDecoder().decode(bytes));
  const all = config === undefined ? layers : [...layers, config];
  const digests = new Set(all.map(({ digest }) => parseDigest(digest)));
  const { readable, controller } = createTarPacker();
  const pending = PendingFile.create(file.folder, ".hutch-export-");
  try {
    const written = (async () => {
      for await (const chunk of readable) pending.write(chunk);
    })();
    const packed = (async () => {
      const index = renderIndex(fullName(store.stored(name)), manifest);
      await addBytes(controller, layoutFile, new TextEncoder().encode(layoutText));
      await addBytes(controller, indexFile, new TextEncoder().encode(index));
      await addBytes(controller, blobEntry(manifest.digest), bytes);
      for (const digest of digests) await addBlob(controller, store, digest, onProgress);
      controller.finalize();
    })();
    packed.catch((error: unknown) => controller.error(error));
    await Promise.all([packed, written]);
    pending.commit(file.path);
  } finally {
    pending.discard();
  }
}

async function addBytes(
  controller: TarPackController,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const header = { name, size: bytes.length, mode: 0o644, mtime };
  const writer = controller.add(header).getWriter();
  await writer.write(bytes);
  await writer.close();
}

async function addBlob(
  controller: TarPackController,
  store: Store,
  digest: Digest,
  onProgress: (progress: ArchiveProgress) => void,
): Promise<void> {
  const path = store.blobPath(digest);
  const total = statSync(path, { throwIfNoEntry: false })?.size;
  if (total === undefined) throw new ArchiveError(`open ${path}: no such file or directory`);
  const header = { name: blobEntry(digest), size: total, mode: 0o644, mtime };
  const writer = controller.add(header).getWriter();
  const hasher = new Bun.CryptoHasher("sha256");
  let completed = 0;
  onProgress({ digest, completed, total });
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) {
    hasher.update(chunk as Buffer);
    await writer.write(new Uint8Array(chunk as Buffer));
    completed += (chunk as Buffer).length;
    onProgress({ digest, completed, total });
  }
  const actual = `sha256:${hasher.digest("hex")}`;
  if (actual !== digest) {
    throw new ArchiveError(`${digest} is damaged, its content is ${actual}: see hutch verify`);
  }
  await writer.close();
}
