/** Writing and tidying in the folder of unpacked libraries. */
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

const temporaryName = /^\..+\.tmp$/;
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** Temporary file → fsync → rename, beside its target; the target may be in use meanwhile. */
export function writeFileAtomic(path: string, data: Uint8Array): void {
  const suffix = `${process.pid}-${Bun.nanoseconds().toString(36)}`;
  const temporary = join(dirname(path), `.${basename(path)}.${suffix}.tmp`);
  // "wx": a link that somebody planted under this name is not followed.
  const handle = openSync(temporary, "wx", 0o700);
  try {
    for (let at = 0; at < data.length; ) at += writeSync(handle, data, at);
    fsyncSync(handle);
    closeSync(handle);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function entries(folder: string): { name: string; path: string; ageMs: number }[] {
  const found = [];
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined) found.push({ name, path, ageMs: Date.now() - stat.mtimeMs });
  }
  return found;
}

/** Temporary files of processes that were killed while they unpacked. */
export function removeLeftovers(folder: string): void {
  for (const { name, path, ageMs } of entries(folder)) {
    if (temporaryName.test(name) && ageMs > 10 * minuteMs) rmSync(path, { force: true });
  }
}

/**
 * Folders of other versions that nobody has unpacked or checked for 30 days. A process that uses one
 * keeps its open files; the next start of that version unpacks it again.
 */
export function removeOldVersions(parent: string, current: string): void {
  for (const { name, path, ageMs } of entries(parent)) {
    if (path === current || !/^lib-[0-9a-f]{16}$/.test(name) || ageMs < 30 * dayMs) continue;
    rmSync(path, { recursive: true, force: true });
  }
}
