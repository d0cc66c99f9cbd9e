/**
 * Which manifests there are, found by looking only at what has changed: folders by their times, files by
 * inode, size and time. Other programs write here too, so nothing is trusted without a look, and what
 * changed in the last moment is read again: two changes may share a time.
 */
import { type Dirent, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Times younger than this may hide another change, milliseconds. */
const settledMs = 2000;

interface KnownFolder {
  /** Undefined for one that could not be read. */
  readonly identity: Identity | undefined;
  readonly folders: readonly string[];
  readonly files: readonly string[];
}

/** What a file is, so that a change shows: undefined while it is too young to tell. */
export interface Identity {
  readonly inode: number;
  readonly size: number;
  readonly modifiedAt: number;
  readonly settled: boolean;
}

/** @returns undefined when there is no such file or folder */
export function identityOf(path: string): (Identity & { readonly isFile: boolean }) | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  return {
    inode: stat.ino,
    size: stat.size,
    modifiedAt: stat.mtimeMs,
    settled: Date.now() - stat.mtimeMs > settledMs,
    isFile: stat.isFile(),
  };
}

/** Whether nothing has changed between two looks. */
export function isUnchanged(before: Identity | undefined, now: Identity | undefined): boolean {
  return (
    before !== undefined &&
    before.inode === now?.inode &&
    before.size === now.size &&
    before.modifiedAt === now.modifiedAt
  );
}

export class ManifestIndex {
  readonly #root: string;
  #known = new Map<string, KnownFolder>();

  /** @param root the folder `manifests` */
  constructor(root: string) {
    this.#root = root;
  }

  /** Paths below the root of all files four levels deep, sorted. */
  paths(): string[] {
    const found: string[] = [];
    const seen = new Map<string, KnownFolder>();
    const walk = (parts: readonly string[]): void => {
      const folder = this.#read(parts.join("/"), seen);
      if (parts.length === 3) {
        for (const file of [...folder.files, ...folder.folders].sort()) {
          found.push([...parts, file].join("/"));
        }
      } else for (const inner of folder.folders) walk([...parts, inner]);
    };
    walk([]);
    this.#known = seen;
    return found;
  }

  #read(place: string, seen: Map<string, KnownFolder>): KnownFolder {
    const path = join(this.#root, place);
    let identity: Identity | undefined;
    let entries: Dirent[];
    try {
      identity = identityOf(path);
      const known = this.#known.get(place);
      if (known !== undefined && isUnchanged(known.identity, identity)) {
        seen.set(place, known);
        return known;
      }
      entries = readdirSync(path, { withFileTypes: true });
    } catch {
      return { identity: undefined, folders: [], files: [] }; // gone, no folder, or not ours to read
    }
    // Links count as what they lead to: a folder that is none has nothing in it.
    const isFolder = (entry: Dirent) => entry.isDirectory() || entry.isSymbolicLink();
    const names = (list: Dirent[]) => list.map(({ name }) => name).sort();
    const read: KnownFolder = {
      identity,
      folders: names(entries.filter(isFolder)),
      files: names(entries.filter((entry) => !isFolder(entry))),
    };
    if (identity?.settled) seen.set(place, read);
    return read;
  }
}
