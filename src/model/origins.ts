/**
 * Where a pulled manifest came from: the commit of a hub's repository, and the shards that were merged
 * into the model. Ollama's manifests have no place for it and are kept byte for byte, so it lies beside
 * them: a file by the manifest's digest, in a folder of hutch's own. Losing one loses that knowledge,
 * nothing else.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { PendingFile } from "./files.ts";
import type { Store } from "./store.ts";

const pattern = "^[0-9a-f]{40}$";

/** Whether a text is a Git commit's name. */
export function isCommit(text: unknown): text is string {
  return typeof text === "string" && new RegExp(pattern).test(text);
}

export const Origin = t.Object({
  /** Of the hub's repository. */
  commit: t.Optional(t.String({ pattern })),
  /** Digests of the hub's files, in order, where the model is one that hutch merged of them. */
  shards: t.Optional(t.Array(t.String({ pattern: "^sha256:[0-9a-f]{64}$" }))),
});
export type Origin = Static<typeof Origin>;

function folderOf(store: Store): string {
  return join(store.root, "hutch", "origins");
}

/**
 * Remembers where a manifest came from; forgets those of manifests that are gone.
 * @param digest of the manifest, 64 hex digits
 */
export function keepOrigin(store: Store, digest: string, origin: Origin): void {
  const folder = folderOf(store);
  const file = PendingFile.create(folder, digest);
  try {
    file.write(new TextEncoder().encode(`${JSON.stringify(origin)}\n`));
    file.commit(join(folder, digest));
  } finally {
    file.discard();
  }
  const known = new Set(store.manifests().map((manifest) => manifest.digest));
  for (const name of readdirSync(folder)) {
    if (/^[0-9a-f]{64}$/.test(name) && !known.has(name)) rmSync(join(folder, name));
  }
}

/** What is known of a manifest's origin. */
export function originOf(store: Store, digest: string): Origin {
  try {
    const json: unknown = JSON.parse(readFileSync(join(folderOf(store), digest), "utf8"));
    return Value.Check(Origin, json) ? json : {};
  } catch {
    return {}; // not from a hub, or pulled by another program
  }
}
