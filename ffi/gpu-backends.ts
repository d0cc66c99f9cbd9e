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
import type { Native } from "./native.ts";

/** Libraries of CUDA that its backend needs, where a user puts them beside it. */
const companion = /^lib(?:cudart|cublas|cublasLt)\.so\.\d+$/;

const linkable = (name: string) => gpuLibrary.test(name) || companion.test(name);

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
  for (const name of readdirSync(folder).filter(linkable)) {
    const target = linked(join(folder, name));
    if (target !== undefined && !statSync(target, { throwIfNoEntry: false }))
      rmSync(join(folder, name));
  }
  const beside = dirname(executable);
  for (const name of readdirSync(beside).filter(linkable)) {
    if (trusted(join(beside, name), executable)) link(join(beside, name), join(folder, name));
  }
}

/** How long a reason may be, in characters. */
const longestReason = 400;

/** Why no GPU is used although a folder of libraries has a backend for one; undefined when one is, or none is to be. */
export function gpuProblem(
  native: Pick<Native, "hasGpu" | "loadBackend" | "drainLog">,
  folder: string,
): string | undefined {
  const backends = readdirSync(folder).filter((name) => gpuLibrary.test(name));
  if (backends.length === 0 || native.hasGpu()) return undefined;
  // A library that cannot be loaded is passed over in silence: asked for by its name it says why.
  return backends
    .map((name) => {
      const said = native.drainLog();
      const loaded = native.loadBackend(join(folder, name));
      const [reason] = `${said}${native.drainLog()}`.split("\n").filter((line) => line !== "");
      return `${name}: ${(reason ?? (loaded ? "it sees no GPU" : "it cannot be loaded")).slice(0, longestReason)}`;
    })
    .join("; ");
}
