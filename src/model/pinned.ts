/**
 * `models.lock`: which models a project uses, pinned to every digest. Same models, same bytes: entries
 * are sorted and nothing depends on time or machine. Pure, but for reading the store it is given.
 */
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { LockError, ModelNotFoundError } from "../errors.ts";
import { digestOf } from "./digest.ts";
import { displayName, fullName, parseName } from "./name.ts";
import { Origin, originOf } from "./origins.ts";
import type { Store } from "./store.ts";

const hex = t.String({ pattern: "^[0-9a-f]{64}$" });
const digest = t.String({ pattern: "^sha256:[0-9a-f]{64}$" });

const LockedBlob = t.Object({
  mediaType: t.String(),
  digest,
  size: t.Integer({ minimum: 0 }),
});

export const LockedModel = t.Object({
  /** Whole name, with registry, namespace and tag. */
  name: t.String(),
  /** SHA-256 of the manifest, as `hutch list` shows its beginning. */
  digest: hex,
  /** Of the hub's repository that it came from, and the hub's files where it was merged of them. */
  ...Origin.properties,
  /** Layers in order, then the configuration. */
  blobs: t.Array(LockedBlob),
});
export type LockedModel = Static<typeof LockedModel>;

export const Lock = t.Object({ version: t.Literal(1), models: t.Array(LockedModel) });
export type Lock = Static<typeof Lock>;

/** @throws ModelNotFoundError when the store has no such model */
export function lockModel(store: Store, text: string): LockedModel {
  const name = parseName(text);
  const found = store.manifest(name);
  if (found === undefined) throw new ModelNotFoundError(`model "${text}" is not in the store`);
  const { config, layers } = found.manifest;
  const blobs = [...layers, ...(config === undefined ? [] : [config])];
  return {
    name: fullName(found.name),
    digest: found.digest,
    ...originOf(store, found.digest),
    blobs: blobs.map(({ mediaType, digest: blob, size }) => ({ mediaType, digest: blob, size })),
  };
}

/** A lock with models added or replaced. */
export function withModels(lock: Lock, models: readonly LockedModel[]): Lock {
  const all = new Map([...lock.models, ...models].map((model) => [model.name, model]));
  return { version: 1, models: [...all.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

export function renderLock(lock: Lock): string {
  return `${JSON.stringify(lock, null, 2)}\n`;
}

/** @param file for messages. @throws LockError naming the field that does not fit */
export function parseLock(text: string, file: string): Lock {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new LockError(`read "${file}": not valid JSON`, { cause });
  }
  if (Value.Check(Lock, json)) return json;
  const first = Value.Errors(Lock, json).First();
  throw new LockError(`read "${file}": ${first?.path || "/"}: ${first?.message}`);
}

/** A short text that changes when any content does, and only then: a key for caches of pipelines. */
export function lockKey(lock: Lock): string {
  const contents = lock.models.map(({ commit: _, shards: __, ...model }) => model);
  const pinned = withModels({ version: 1, models: [] }, contents);
  const bytes = new TextEncoder().encode(renderLock(pinned));
  return `hutch-models-${digestOf(bytes).slice("sha256:".length, "sha256:".length + 16)}`;
}

/** How what the store holds differs from a lock, a line each; empty when it does not. */
export function drift(store: Store, lock: Lock): string[] {
  return lock.models.flatMap(({ name, digest: locked }) => {
    const shown = displayName(parseName(name));
    const found = store.manifest(parseName(name));
    if (found === undefined) return [`missing ${shown}`];
    if (found.digest === locked) return [];
    return [`changed ${shown}: ${found.digest.slice(0, 12)}, locked ${locked.slice(0, 12)}`];
  });
}
