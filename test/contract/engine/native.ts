/** The engine on libllama, run from the sources, for contract tests that need it. */
import { existsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { libraryName } from "../../../ffi/library.ts";
import type { Native, NativeModel } from "../../../ffi/native.ts";
import { ProcessEngine } from "../../../src/engine/process.ts";
import { silentLogger } from "../../../src/logger.ts";

const root = resolve(import.meta.dir, "../../..");
const library = join(root, "dist/lib");
export const libraryFolderOfTests: string = library;

/**
 * Whether the libraries are built, and later than their sources were changed; otherwise tests that need
 * them skip, visibly.
 */
export const haveLibrary: boolean = existsSync(join(library, libraryName)) && isFresh();

function isFresh(): boolean {
  const built = statSync(join(library, "manifest.json")).mtimeMs;
  const sources = new Bun.Glob("**/*.{cpp,hpp,h,rs}").scanSync(join(root, "ffi"));
  return [...sources].every((file) => statSync(join(root, "ffi", file)).mtimeMs <= built);
}

/** @param prefix a program that becomes the runner, with its arguments */
export function nativeEngine(...prefix: string[]): ProcessEngine {
  return new ProcessEngine({
    command: [...prefix, process.execPath, join(root, "src/main.ts"), "runner"],
    env: process.env,
    libraries: { cacheFolder: undefined, tempFolder: tmpdir(), libraryFolder: library },
    prefixCache: undefined,
    stallMs: 0,
    loadStallMs: 0,
    logger: silentLogger,
    checkMessages: true,
  });
}

/** A model in this very process, with a small context. */
export function openModel(native: Native, path: string, slots: number): NativeModel {
  return native.load(path, {
    numbers: { context: 512, slots, batch: 64, threads: 1, gpu_layers: 0, flash_attention: -1 },
    cacheType: "f16",
    adapters: [],
    projector: undefined,
  });
}
