/** The engine on libllama, run from the sources, for contract tests that need it. */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { libraryName } from "../../../ffi/library.ts";
import { ProcessEngine } from "../../../src/engine/process.ts";
import { silentLogger } from "../../../src/logger.ts";

const root = resolve(import.meta.dir, "../../..");
const library = join(root, "dist/lib");
export const libraryFolderOfTests: string = library;

/** Whether the libraries are built; without them such tests skip, visibly. */
export const haveLibrary: boolean = existsSync(join(library, libraryName));

export function nativeEngine(): ProcessEngine {
  return new ProcessEngine({
    command: [process.execPath, join(root, "src/main.ts"), "runner"],
    env: process.env,
    libraries: { cacheFolder: undefined, tempFolder: tmpdir(), libraryFolder: library },
    prefixCache: undefined,
    stallMs: 0,
    loadStallMs: 0,
    logger: silentLogger,
    checkMessages: true,
  });
}
