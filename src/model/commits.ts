/**
 * Which commit of a hub's repository a pulled manifest came from. Ollama's manifests have no place for it
 * and are kept byte for byte, so it lies beside them: a file by the manifest's digest, in a folder of
 * hutch's own. Losing one loses that knowledge, nothing else.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PendingFile } from "./files.ts";
import type { Store } from "./store.ts";

const pattern = /^[0-9a-f]{40}$/;

/** Whether a text is a Git commit's name. */
export function isCommit(text: unknown): text is string {
  return typeof text === "string" && pattern.test(text);
}

function folderOf(store: Store): string {
  return join(store.root, "hutch", "commits");
}

/**
 * Remembers where a manifest came from; forgets those of manifests that are gone.
 * @param digest of the manifest, 64 hex digits
 */
export function keepCommit(store: Store, digest: string, commit: string): void {
  const folder = folderOf(store);
  const file = PendingFile.create(folder, digest);
  try {
    file.write(new TextEncoder().encode(`${commit}\n`));
    file.commit(join(folder, digest));
  } finally {
    file.discard();
  }
  const known = new Set(store.manifests().map((manifest) => manifest.digest));
  for (const name of readdirSync(folder)) {
    if (/^[0-9a-f]{64}$/.test(name) && !known.has(name)) rmSync(join(folder, name));
  }
}

/** The commit of a manifest, when it is known. */
export function commitOf(store: Store, digest: string): string | undefined {
  try {
    const text = readFileSync(join(folderOf(store), digest), "utf8").trimEnd();
    return isCommit(text) ? text : undefined;
  } catch {
    return undefined; // not from a hub, or pulled by another program
  }
}
