/** Push: a stored model to a registry (registry.md 5). Blobs first, the manifest last. */

import { statSync } from "node:fs";
import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { isAbortError, ModelNotFoundError, RegistryError } from "../../errors.ts";
import { type Digest, parseDigest } from "../digest.ts";
import { type Layer, parseManifest } from "../manifest.ts";
import { mediaTypes } from "../media-types.ts";
import { isValidName, type ModelName, parseName } from "../name.ts";
import type { Store } from "../store.ts";
import { repositoryOf } from "./address.ts";
import { blobStatus, type TransferRequest, type TransferStatus } from "./pull.ts";
import { RegistrySession, statusError } from "./session.ts";
import { uploadBlob } from "./upload.ts";
import { pause } from "./wait.ts";

/** Pushes a model. @throws RegistryError, StoreError, ModelNotFoundError, AbortError */
export async function* pushModel(request: TransferRequest): AsyncGenerator<TransferStatus> {
  const { store, transfers, signal } = request;
  const name = { ...store.stored(request.name), scheme: request.name.scheme };
  const session = new RegistrySession({
    name,
    insecure: request.insecure,
    http: transfers.http,
    key: transfers.key,
  });
  yield { status: "retrieving manifest" };
  let bytes: Uint8Array;
  try {
    bytes = store.manifestBytes(name);
  } catch (error) {
    yield { status: "couldn't retrieve manifest" };
    if (error instanceof ModelNotFoundError) {
      throw new RegistryError(error.message, { cause: error });
    }
    throw error;
  }
  const { config, layers } = parseManifest(new TextDecoder().decode(bytes));
  const all = config === undefined ? layers : [...layers, config];
  const done = new Set<Digest>();
  for (const layer of all) {
    const digest = parseDigest(layer.digest);
    if (done.has(digest)) continue;
    done.add(digest);
    yield* pushLayer(request, session, layer, digest);
  }
  yield { status: "pushing manifest" };
  await putManifest(session, name.tag, bytes, signal);
  yield { status: "success" };
}

/** The bytes of the manifest as they are stored: its digest stays. */
async function putManifest(
  session: RegistrySession,
  tag: string,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const response = await session.send({
    method: "PUT",
    url: session.manifestPath(tag),
    headers: { "content-type": manifestType(bytes) },
    body: () => bytes,
    signal,
  });
  if (response.status >= 300) throw await statusError(response, session.http, signal);
  await response.body?.cancel();
}

const TypedManifest = t.Object({ mediaType: t.String({ pattern: "^[\\w.+/-]+$" }) });

/** Registries want the type that the manifest itself names. */
function manifestType(bytes: Uint8Array): string {
  const manifest: unknown = JSON.parse(new TextDecoder().decode(bytes));
  return Value.Check(TypedManifest, manifest) ? manifest.mediaType : mediaTypes.manifest;
}

/** One blob: nothing to do when the registry has it, else an upload with its progress. */
async function* pushLayer(
  { store, transfers, name, signal }: TransferRequest,
  session: RegistrySession,
  layer: Layer,
  digest: Digest,
): AsyncGenerator<TransferStatus> {
  const total = localSize(store, digest);
  if (await hasBlob(session, digest, signal)) {
    yield blobStatus("pushing", { digest, total, completed: total });
    return;
  }
  let completed = 0;
  let settled = false;
  const upload = uploadBlob({
    session,
    digest,
    path: store.blobPath(digest),
    mountFrom: mountSource(layer, name),
    onProgress: (sent) => {
      completed = sent;
    },
    signal,
    retryMs: transfers.retryMs,
    logger: transfers.logger,
  }).finally(() => {
    settled = true;
  });
  upload.catch(() => {}); // awaited below
  while (!settled) {
    yield blobStatus("pushing", { digest, total, completed });
    await Promise.race([upload, pause(transfers.progressMs, signal)]);
  }
  await upload;
  yield blobStatus("pushing", { digest, total, completed: total });
}

/** @throws RegistryError in the words of a file that is not there */
function localSize(store: Store, digest: Digest): number {
  const stat = statSync(store.blobPath(digest), { throwIfNoEntry: false });
  if (stat !== undefined) return stat.size;
  throw new RegistryError(`open ${store.blobPath(digest)}: no such file or directory`);
}

async function hasBlob(
  session: RegistrySession,
  digest: Digest,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await session.fetch({ method: "HEAD", url: session.blobPath(digest), signal });
    return true;
  } catch (error) {
    if (!isAbortError(error) && error instanceof RegistryError && error.status === 404)
      return false;
    throw error;
  }
}

/** The parent's repository, when the layer came from a model of the same registry. */
function mountSource({ from }: Layer, name: ModelName): string | undefined {
  if (!from) return undefined;
  const parent = parseName(from);
  if (!isValidName(parent) || parent.host !== name.host) return undefined;
  const repository = repositoryOf(parent);
  return repository === repositoryOf(name) ? undefined : repository;
}
