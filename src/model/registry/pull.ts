/**
 * Pull: a model from a registry into the store (registry.md 3). The manifest is written last, and only
 * when every blob it names is there with the right digest.
 */
import { errorMessage, isAbortError, LockError, RegistryError } from "../../errors.ts";
import { keepCommit } from "../commits.ts";
import { type Digest, digestOf } from "../digest.ts";
import { displayName, type ModelName } from "../name.ts";
import type { Store } from "../store.ts";
import { currentCommit, findShards, isHub, refusesShards } from "./hub.ts";
import { fetchManifest, type RemoteBlob, type RemoteManifest } from "./remote-manifest.ts";
import { RegistrySession } from "./session.ts";
import { checkSpace } from "./space.ts";
import type { Transfers } from "./transfers.ts";

/** One line of progress. */
export interface TransferStatus {
  readonly status: string;
  readonly digest?: string;
  readonly total?: number;
  /** Left out while it is 0, as clients are used to. */
  readonly completed?: number;
}

/** What a transfer needs of its surroundings. */
export interface TransferRequest {
  readonly transfers: Transfers;
  readonly store: Store;
  readonly name: ModelName;
  /** Use plain http. */
  readonly insecure: boolean;
  readonly signal: AbortSignal;
  /**
   * Makes a model of stored files (name of the file → digest): for models that a hub keeps in shards.
   * Without it such a model is refused in the hub's words.
   */
  readonly create?: (files: Readonly<Record<string, string>>) => AsyncGenerator<TransferStatus>;
  /** SHA-256 that the manifest must have, 64 hex digits: refused before anything is downloaded. */
  readonly digest?: string;
}

/** Time between two signs of life to other processes for blobs without a manifest, milliseconds. */
const touchMs = 60_000;
/** How often blobs that other processes removed meanwhile are fetched again. */
const mostRounds = 3;

/** A line about one blob. */
export function blobStatus(
  verb: "pulling" | "pushing",
  { digest, total, completed }: { digest: string; total: number; completed: number },
): TransferStatus {
  const status = `${verb} ${digest.slice(7, 19)}`;
  return { status, digest, total, ...(completed > 0 ? { completed } : {}) };
}

/**
 * Pulls a model. What was downloaded stays when it fails or its reader leaves.
 * @throws RegistryError, StoreError, AbortError
 */
export async function* pullModel(request: TransferRequest): AsyncGenerator<TransferStatus> {
  const { store, transfers, signal } = request;
  const name = { ...store.stored(request.name), scheme: request.name.scheme };
  const before = store.digests(name);
  const session = new RegistrySession({
    name,
    insecure: request.insecure,
    http: transfers.http,
    key: transfers.key,
  });
  const fetching = () => modelManifest(session, name.tag, transfers, signal);
  // What is pinned is checked before the first line, so that the answer's status can tell.
  const pinned = request.digest === undefined ? undefined : await fetching();
  if (pinned !== undefined) checkPinned(name, pinned, request.digest ?? "");
  yield { status: "pulling manifest" };
  let manifest: RemoteManifest;
  try {
    manifest = pinned ?? (await fetching());
  } catch (error) {
    if (request.create === undefined || !refusesShards(error)) throw error;
    yield* pullShards(request, request.create, session, name.tag);
    return;
  }
  if (manifest.tensors) {
    // The reference's words where it lacks that engine too.
    throw new RegistryError(
      "this model requires MLX support, but the MLX runtime is not available",
    );
  }
  checkSpace(store, manifest.blobs);
  yield* storeWhole(request, session, name, manifest);
  await noteCommit(request, session, manifest.commit);
  yield* removeUnused(store, before, new Set(manifest.blobs.map(({ digest }) => digest)));
  yield { status: "success" };
}

/** Fetches what a manifest names and writes it when all is there: no list shows a model with holes. */
async function* storeWhole(
  { store, transfers, signal }: TransferRequest,
  session: RegistrySession,
  name: ModelName,
  manifest: RemoteManifest,
): AsyncGenerator<TransferStatus> {
  async function* fetchBlob(blob: RemoteBlob): AsyncGenerator<TransferStatus> {
    for await (const progress of transfers.downloads.fetch(session, blob, signal)) {
      yield blobStatus("pulling", progress);
    }
  }
  using _lease = store.lease();
  const touch = () => {
    for (const { digest } of manifest.blobs) store.touch(digest);
  };
  const timer = setInterval(touch, touchMs);
  timer.unref();
  touch();
  try {
    for (const blob of manifest.blobs) {
      yield* fetchBlob(blob);
      store.touch(blob.digest);
      transfers.downloads.tidy(blob.digest);
    }
    yield { status: "verifying sha256 digest" };
    yield { status: "writing manifest" };
    const digests = manifest.blobs.map(({ digest }) => digest);
    for (let round = 1; ; round++) {
      // Another program may have removed a blob that no manifest mentioned until now.
      const lost = store.putManifestBytes(name, manifest.bytes, digests);
      if (lost.length === 0) return;
      if (round === mostRounds)
        throw new RegistryError("blobs vanish from the store while pulling");
      for (const blob of manifest.blobs) if (lost.includes(blob.digest)) yield* fetchBlob(blob);
    }
  } finally {
    clearInterval(timer);
  }
}

/** Remembers which commit of a hub's repository the model came from, for locks. */
async function noteCommit(
  { store, name, signal }: TransferRequest,
  session: RegistrySession,
  told: string | undefined,
): Promise<void> {
  const commit = told ?? (isHub(name.host) ? await currentCommit(session, signal) : undefined);
  const digest = store.manifest(name)?.digest;
  if (commit !== undefined && digest !== undefined) keepCommit(store, digest, commit);
}

/** A model that a hub keeps in shards: they are fetched like blobs, and made into one model here. */
async function* pullShards(
  request: TransferRequest,
  create: NonNullable<TransferRequest["create"]>,
  session: RegistrySession,
  tag: string,
): AsyncGenerator<TransferStatus> {
  const { store, transfers, signal } = request;
  const { shards, commit } = await findShards(session, tag, signal);
  checkSpace(store, shards);
  {
    using _lease = store.lease();
    for (const shard of shards) {
      for await (const progress of transfers.downloads.fetch(session, shard, signal)) {
        yield blobStatus("pulling", progress);
      }
      store.touch(shard.digest);
    }
    yield { status: "verifying sha256 digest" };
    const files = Object.fromEntries(shards.map(({ file, digest }) => [file, digest]));
    for await (const progress of create(files)) {
      // Clients stop reading at this word.
      if (progress.status === "success") await noteCommit(request, session, commit);
      yield progress;
    }
  }
  // What was merged into one file is needed no more.
  if (!store.keepsUnused) store.removeUnmentioned(new Set(shards.map(({ digest }) => digest)));
}

/** @throws LockError */
function checkPinned(name: ModelName, manifest: RemoteManifest, digest: string): void {
  const actual = digestOf(manifest.bytes).slice("sha256:".length);
  if (actual === digest) return;
  throw new LockError(
    `pull "${displayName(name)}": the registry has ${actual.slice(0, 12)}, locked is ${digest.slice(0, 12)}`,
  );
}

async function modelManifest(
  session: RegistrySession,
  tag: string,
  { retryMs }: Transfers,
  signal: AbortSignal,
): Promise<RemoteManifest> {
  try {
    return await fetchManifest(session, tag, { signal, retryMs });
  } catch (error) {
    if (isAbortError(error) || !(error instanceof RegistryError)) throw error;
    const { status } = error;
    throw new RegistryError(`pull model manifest: ${error.message}`, {
      cause: error,
      ...(status === undefined ? {} : { status }),
    });
  }
}

/** Layers of the model's older version that no model needs any more. */
function* removeUnused(
  store: Store,
  before: ReadonlySet<string>,
  now: ReadonlySet<Digest>,
): Generator<TransferStatus> {
  const old = new Set([...before].filter((digest) => !now.has(digest as Digest)));
  if (old.size === 0 || store.keepsUnused) return;
  yield { status: "removing unused layers" };
  try {
    store.removeUnmentioned(old);
  } catch (error) {
    yield { status: `couldn't remove unused layers: ${errorMessage(error)}` };
  }
}
