/**
 * Libraries of GPU backends are too large to embed and lie beside the executable. The engine takes
 * backends from the folder of the others, so they are linked into it.
 */
import {
  copyFileSync,
  lstatSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { gpuLibrary } from "../src/config/machine.ts";

/** Whether nobody but the owner of the executable, or root, can have put a file there. */
function trusted(path: string, executable: string): boolean {
  const file = statSync(path);
  if (process.getuid === undefined) return file.isFile();
  const { uid } = statSync(executable);
  return file.isFile() && (file.uid === uid || file.uid === 0) && (file.mode & 0o022) === 0;
}

function linked(path: string): string | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()
    ? readlinkSync(path)
    : undefined;
}

/** The link appears in one step, so that no other process finds it missing. */
function link(target: string, path: string): void {
  if (linked(path) === target) return;
  const temporary = `${path}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  // Links need a right on Windows that users do not have.
  if (process.platform === "win32") copyFileSync(target, temporary);
  else symlinkSync(target, temporary);
  renameSync(temporary, path);
}

/**
 * Links the backends beside an executable into a folder of libraries, and takes away links whose
 * library is gone.
 */
export function linkGpuBackends(executable: string, folder: string): void {
  for (const name of readdirSync(folder).filter((one) => gpuLibrary.test(one))) {
    const target = linked(join(folder, name));
    if (target !== undefined && !statSync(target, { throwIfNoEntry: false }))
      rmSync(join(folder, name));
  }
  const beside = dirname(executable);
  for (const name of readdirSync(beside).filter((one) => gpuLibrary.test(one))) {
    if (trusted(join(beside, name), executable)) link(join(beside, name), join(folder, name));
  }
}
