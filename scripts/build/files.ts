/** File operations of the build: hashes, atomic writes, copies of folders. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";

export function sha256(data: string | Uint8Array<ArrayBuffer>): string {
  return new Bun.CryptoHasher("sha256").update(data).digest("hex");
}

/** SHA-256 of a file, in hex. */
export async function sha256File(file: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(file).stream()) hasher.update(chunk);
  return hasher.digest("hex");
}

/** Temporary file → fsync → rename. */
export function writeAtomic(file: string, data: string | Uint8Array): void {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = openSync(temporary, "w");
  try {
    writeFileSync(handle, data);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, file);
}

/** Copies a file so that its name never stands for half of it. */
export function copyAtomic(from: string, to: string): void {
  const temporary = `${to}.${process.pid}.tmp`;
  copyFileSync(from, temporary);
  renameSync(temporary, to);
}

/** Paths of all files below a folder, relative to it, sorted; folders named in `skip` are left out. */
export function filesBelow(folder: string, skip: readonly string[] = []): string[] {
  const found: string[] = [];
  const walk = (current: string): void => {
    for (const entry of readdirSync(current, { withFileTypes: true })) {
      if (skip.includes(entry.name)) continue;
      const path = join(current, entry.name);
      if (entry.isDirectory()) walk(path);
      else found.push(relative(folder, path));
    }
  };
  if (existsSync(folder)) walk(folder);
  return found.sort();
}

/** One hash over names and contents of files below `folder`. */
export function hashFiles(folder: string, files: readonly string[]): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const file of files) {
    hasher.update(`${file}\0${sha256(readFileSync(join(folder, file)))}\n`);
  }
  return hasher.digest("hex");
}

/** Makes `to` hold the same bytes as `from`, untouched when it does already (so Make sees no change). */
export function updateFile(from: string, to: string): void {
  const data = readFileSync(from);
  if (existsSync(to) && readFileSync(to).equals(data)) return;
  writeAtomic(to, data);
}

/** Removes a folder so that a half-removed one never stands under its name. */
export function removeFolder(folder: string): void {
  if (!existsSync(folder)) return;
  const doomed = `${folder}.removed-${process.pid}`;
  renameSync(folder, doomed);
  rmSync(doomed, { recursive: true, force: true });
}
