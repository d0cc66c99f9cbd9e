/** Which files and folders of the store nobody needs any more (store.md 7); the store removes them. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Age at which files that nobody mentions go, milliseconds: younger ones may be at work. */
const prunableMs = 60 * 60 * 1000;
/** Age at which downloads and uploads that nobody went on with go: longer than in Ollama, on purpose. */
const unfinishedMs = 24 * prunableMs;

export interface BlobEntry {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
}

/** The blob that a file of an unfinished transfer belongs to; undefined for other files. */
function unfinishedBlob(fileName: string): string | undefined {
  const kinds = /^(sha256-[0-9a-f]{64})-(?:partial(?:-\d+)?|hash|upload-[0-9a-f]+(?:-hash)?)$/;
  return kinds.exec(fileName)?.[1];
}

/**
 * Names of the files to remove.
 * @param mentioned digests in manifests, `sha256:…`
 */
export function prunable(
  entries: readonly BlobEntry[],
  mentioned: ReadonlySet<string>,
  now: number,
): string[] {
  // The files of one transfer live as long as the youngest of them.
  const youngest = new Map<string, number>();
  for (const { name, modifiedAt } of entries) {
    const blob = unfinishedBlob(name);
    if (blob !== undefined) youngest.set(blob, Math.max(youngest.get(blob) ?? 0, modifiedAt));
  }
  return entries
    .filter(({ name, modifiedAt }) => {
      if (mentioned.has(name.replace("sha256-", "sha256:"))) return false;
      const blob = unfinishedBlob(name);
      if (blob === undefined) return now - modifiedAt >= prunableMs;
      return now - (youngest.get(blob) ?? modifiedAt) >= unfinishedMs;
    })
    .map(({ name }) => name);
}

/** The files of a folder with their times; none when there is no folder. */
export function datedEntries(folder: string): BlobEntry[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return []; // no store yet
  }
  return names.flatMap((name) => {
    const stat = statSync(join(folder, name), { throwIfNoEntry: false });
    return stat === undefined ? [] : [{ name, modifiedAt: stat.mtimeMs }];
  });
}

/** All folders below one and itself, deepest first. */
export function foldersBelow(folder: string): string[] {
  let entries: { name: string; isDirectory(): boolean }[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  const inner = entries
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => foldersBelow(join(folder, name)));
  return [...inner, folder];
}
