/**
 * Pull: a model from a registry into the store (registry.md 3). The manifest is written last, and only
 * when every blob it names is there with the right digest.
 */
import {
  errorMessage,
  isAbortError,
  LockError,
  RegistryError,
  RemoteModelNotFoundError,
} from "../../errors.ts";
import { type Digest, digestOf } from "../digest.ts";
import { displayName, type ModelName } from "../name.ts";
import { keepOrigin, type Origin } from "../origins.ts";
import type { Store } from "../store.ts";
import { currentCommit, findShards, type HubShards, isHub, refusesShards } from "./hub.ts";
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

/** What a lock says of a model. */
export interface Pinned {
  /** SHA-256 of the manifest, 64 hex digits. */
  readonly digest: string;
  /** Digests of the hub's files, in order, where it has no manifest and they are merged here. */
  readonly shards?: readonly string[];
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
   * @param digest SHA-256 that the manifest must have, where it is pinned
   */
  readonly create?: (
    files: Readonly<Record<string, string>>,
    digest?: string,
  ) => AsyncGenerator<TransferStatus>;
  /** What the registry must have: anything else is refused before a blob is downloaded. */
  readonly pinned?: Pinned;
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
  const { pinned, create } = request;
  const find = async (): Promise<RemoteManifest | HubShards> => {
    try {
      return await modelManifest(session, name.tag, transfers, signal);
    } catch (error) {
      if (create === undefined || !refusesShards(error)) throw error;
      return findShards(session, name.tag, signal);
    }
  };
  // What is pinned is checked before the first line, so that the answer's status can tell.
  const early = pinned === undefined ? undefined : await find();
  if (early !== undefined && pinned !== undefined) checkPinned(name, early, pinned);
  yield { status: "pulling manifest" };
  const manifest = early ?? (await find());
  if ("shards" in manifest) {
    if (create !== undefined) yield* pullShards(request, create, session, manifest);
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
  await noteOrigin(request, session, manifest);
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

/** Remembers which commit of a hub's repository the model came from, and which files, for locks. */
async function noteOrigin(
  { store, name, signal }: TransferRequest,
  session: RegistrySession,
  told: Pick<HubShards, "commit"> & { readonly shards?: HubShards["shards"] },
): Promise<void> {
  const commit =
    told.commit ?? (isHub(name.host) ? await currentCommit(session, signal) : undefined);
  const digest = store.manifest(name)?.digest;
  if (digest === undefined) return;
  const shards = told.shards?.map((shard) => shard.digest);
  const origin: Origin = {
    ...(commit === undefined ? {} : { commit }),
    ...(shards === undefined ? {} : { shards }),
  };
  if (Object.keys(origin).length > 0) keepOrigin(store, digest, origin);
}

/** A model that a hub keeps in shards: they are fetched like blobs, and made into one model here. */
async function* pullShards(
  request: TransferRequest,
  create: NonNullable<TransferRequest["create"]>,
  session: RegistrySession,
  found: HubShards,
): AsyncGenerator<TransferStatus> {
  const { store, transfers, signal } = request;
  const { shards } = found;
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
    for await (const progress of create(files, request.pinned?.digest)) {
      // Clients stop reading at this word.
      if (progress.status === "success") await noteOrigin(request, session, found);
      yield progress;
    }
  }
  // What was merged into one file is needed no more.
  if (!store.keepsUnused) store.removeUnmentioned(new Set(shards.map(({ digest }) => digest)));
}

/** @throws LockError */
function checkPinned(name: ModelName, found: RemoteManifest | HubShards, pinned: Pinned): void {
  const difference = "shards" in found ? otherShards(found, pinned) : otherManifest(found, pinned);
  if (difference === undefined) return;
  throw new LockError(`pull "${displayName(name)}": the registry has ${difference}`);
}

/** How a manifest differs from the one that is pinned. */
function otherManifest({ bytes }: RemoteManifest, { digest }: Pinned): string | undefined {
  const actual = digestOf(bytes).slice("sha256:".length);
  if (actual === digest) return undefined;
  return `${actual.slice(0, 12)}, locked is ${digest.slice(0, 12)}`;
}

/** How a hub's files differ from those that are pinned. */
function otherShards({ shards }: HubShards, { shards: locked = [] }: Pinned): string | undefined {
  const count = (n: number) => (n === 0 ? "none" : String(n));
  if (shards.length !== locked.length) {
    return `the model in ${shards.length} shards, locked is ${count(locked.length)}`;
  }
  const other = shards.find(({ digest }, index) => digest !== locked[index]);
  if (other === undefined) return undefined;
  const expected = locked[shards.indexOf(other)] ?? "";
  return `${other.digest.slice(7, 19)} as ${other.file}, locked is ${expected.slice(7, 19)}`;
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
    const Kind = status === 404 ? RemoteModelNotFoundError : RegistryError;
    throw new Kind(`pull model manifest: ${error.message}`, {
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
