/**
 * A manifest as a stranger sent it: read, checked field by field, and kept byte for byte, because its
 * digest is the model's (registry.md 10, store.md 3).
 */
import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { DigestFormatError, RegistryError } from "../../errors.ts";
import { type Digest, parseDigest } from "../digest.ts";
import { largestManifest } from "../manifest.ts";
import { mediaTypes } from "../media-types.ts";
import { isCommit } from "../origins.ts";
import { readBody } from "./exchange.ts";
import { isTransientStatus, pauseMs } from "./retry.ts";
import type { RegistrySession } from "./session.ts";
import { pause } from "./wait.ts";

/** A blob that a manifest names. */
export interface RemoteBlob {
  readonly digest: Digest;
  /** Bytes; 0 when the manifest does not say. */
  readonly size: number;
  /** Where the registry has it, when not where blobs are. */
  readonly path?: string;
}

export interface RemoteManifest {
  readonly bytes: Uint8Array;
  /** Layers in order, then the configuration; every digest once. */
  readonly blobs: readonly RemoteBlob[];
  /** Whether the model is made of single tensors, for an engine that hutch has not. */
  readonly tensors: boolean;
  /** Commit of the hub's repository, where the registry tells it. */
  readonly commit?: string;
}

/** Safetensors models have one layer per tensor. */
const mostLayers = 20_000;

const LayerShape = t.Object({
  mediaType: t.String(),
  digest: t.String(),
  size: t.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
});
const ManifestShape = t.Object({
  schemaVersion: t.Optional(t.Integer()),
  mediaType: t.Optional(t.String()),
  config: t.Optional(LayerShape),
  layers: t.Array(LayerShape, { maxItems: mostLayers }),
});

const tensorType = "application/vnd.ollama.image.tensor";

/**
 * @param model `namespace/model`, for messages
 * @throws RegistryError naming the field that does not fit
 */
export function readRemoteManifest(bytes: Uint8Array, model: string): RemoteManifest {
  const json = withoutNulls(parseJson(bytes));
  if (!Value.Check(ManifestShape, json)) {
    const first = Value.Errors(ManifestShape, json).First();
    throw new RegistryError(
      `the manifest has a wrong field: ${first?.path || "/"}: ${first?.message}`,
    );
  }
  const { layers } = json;
  // A configuration without a digest is none (store.md 3).
  const config = json.config?.digest ? [json.config] : [];
  const blobs = new Map<Digest, RemoteBlob>();
  for (const { digest: text, size } of [...layers, ...config]) {
    const digest = checkedDigest(text, model);
    const known = blobs.get(digest);
    if (known !== undefined && known.size !== size) {
      throw new RegistryError(`the manifest gives ${digest} two sizes: ${known.size} and ${size}`);
    }
    blobs.set(digest, { digest, size });
  }
  const tensors = layers.some(({ mediaType }) => mediaType === tensorType);
  return { bytes, blobs: [...blobs.values()], tensors };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new RegistryError("the manifest is not valid JSON", { cause });
  }
}

/** Stubs of cloud models have `null` for no layers and no configuration. */
function withoutNulls(json: unknown): unknown {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return json;
  const fields: { layers?: unknown; config?: unknown } = { ...json };
  if (fields.layers === null) fields.layers = [];
  if (fields.config === null) delete fields.config;
  return fields;
}

function checkedDigest(text: string, model: string): Digest {
  if (text === "") throw new RegistryError(`${model}: digest is empty`);
  try {
    return parseDigest(text);
  } catch (cause) {
    if (!(cause instanceof DigestFormatError)) throw cause;
    const shown = JSON.stringify(text.slice(0, 200));
    throw new RegistryError(`the manifest names a blob ${shown}: invalid digest format`, { cause });
  }
}

/** Media types of manifests that are understood; what Ollama asks for comes first. */
const accepted = `${mediaTypes.manifest}, application/vnd.oci.image.manifest.v1+json`;

/** Tries of a registry that says "not now" when it is asked for a manifest. */
const manifestTries = 3;

/**
 * Asks a registry for a manifest; waits a little when it says "not now".
 * @throws RegistryError
 */
export async function fetchManifest(
  session: RegistrySession,
  tag: string,
  options: { signal: AbortSignal; retryMs: number },
): Promise<RemoteManifest> {
  const { signal, retryMs } = options;
  const request = {
    method: "GET",
    url: session.manifestPath(tag),
    headers: { accept: accepted },
    signal,
  } as const;
  for (let tries = 1; ; tries++) {
    try {
      const response = await session.fetch(request);
      const limits = { limit: largestManifest, stallMs: session.http.stallMs };
      const bytes = await readBody(response, { ...limits, what: "the manifest", signal });
      const manifest = readRemoteManifest(bytes, session.repository);
      const commit = response.headers.get("x-repo-commit");
      return isCommit(commit) ? { ...manifest, commit } : manifest;
    } catch (error) {
      const again =
        error instanceof RegistryError &&
        error.status !== undefined &&
        error.status !== 500 &&
        isTransientStatus(error.status) &&
        tries < manifestTries &&
        (error.retryAfterMs ?? 0) <= 30_000;
      if (!again) throw error;
      await pause(pauseMs(error, tries, retryMs, Math.random()), signal);
    }
  }
}
