/**
 * The stamp beside unpacked libraries: for each file, its state (size, times, inode) when its hash
 * was last compared. A file in that state need not be hashed again, because whatever changes a file
 * moves its change time, which no program can set back.
 *
 * File systems keep times in steps, so a change in the same step as the comparison would not show.
 * Hence a state counts only if it was older than such a step when the stamp was written (git's index
 * guards itself likewise): the first start after unpacking compares the youngest files once more.
 */
import { type BigIntStats, lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "./unpack-files.ts";

const name = "verified.json";

/** Linux moves the times of files once a timer tick, at most every 10 ms; others are finer. */
const tickNs = 100_000_000n;
/** FAT counts two seconds, HFS+ and the first ext one: their times have no fraction. */
const coarseNs = 2_500_000_000n;

/** Whether a change after the stamp was written would have moved the file's change time, both in ns. */
export function settled(changedNs: bigint, stampedNs: bigint): boolean {
  return changedNs + (changedNs % 1_000_000_000n === 0n ? coarseNs : tickNs) <= stampedNs;
}

/** `size mtimeNs ctimeNs inode` of a regular file. */
type State = string;

export interface Stamp {
  readonly entries: Record<string, State>;
  /** The file's state, if it is one that has been compared. */
  trusts(file: string, path: string): State | undefined;
}

function regularFile(path: string): BigIntStats | undefined {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stat?.isFile() ? stat : undefined;
}

const stateOf = (stat: BigIntStats): State =>
  `${stat.size} ${stat.mtimeNs} ${stat.ctimeNs} ${stat.ino}`;

/** Undefined when there is no such file, or a link or folder has its name. */
export function stampEntry(path: string): State | undefined {
  const stat = regularFile(path);
  return stat && stateOf(stat);
}

/** Undefined when the folder has no usable stamp. */
export function readStamp(folder: string): Stamp | undefined {
  const path = join(folder, name);
  const written = regularFile(path)?.mtimeNs;
  if (written === undefined) return undefined;
  const entries = parse(path);
  return {
    entries,
    trusts(file, target) {
      const stat = regularFile(target);
      if (stat === undefined || !settled(stat.ctimeNs, written)) return undefined;
      const state = stateOf(stat);
      return entries[file] === state ? state : undefined;
    },
  };
}

/** A damaged stamp says nothing: the files are hashed and it is written anew. */
function parse(path: string): Record<string, State> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, State>) : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

/** Where the folder cannot be written to, every start compares hashes. */
export function writeStamp(folder: string, entries: Record<string, State>): void {
  try {
    writeFileAtomic(join(folder, name), Buffer.from(`${JSON.stringify(entries)}\n`));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (!["EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT"].includes(code)) throw error;
  }
}
