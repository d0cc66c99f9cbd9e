/** Opens the library `hutch` and refuses one that speaks another version of the ABI. */
import { dlopen, type Library, suffix } from "bun:ffi";
import { join } from "node:path";
import { EngineError, errorMessage } from "../src/errors.ts";
import { abiVersion, symbols } from "./symbols.ts";

export type HutchLibrary = Library<typeof symbols>;

/** File name of the shim on this platform. */
export const libraryName = process.platform === "win32" ? "hutch.dll" : `libhutch.${suffix}`;

/**
 * @param folder where the shim and all its libraries lie
 * @throws EngineError when it cannot be loaded or has another ABI version
 */
export function openLibrary(folder: string): HutchLibrary {
  const path = join(folder, libraryName);
  let library: HutchLibrary;
  try {
    library = dlopen(path, symbols);
  } catch (cause) {
    throw new EngineError(`load the native library "${path}": ${errorMessage(cause)}`, { cause });
  }
  const version = library.symbols.hutch_abi_version();
  if (version !== abiVersion) {
    library.close();
    throw new EngineError(
      `load the native library "${path}": it has ABI version ${version}, this hutch needs ${abiVersion}`,
    );
  }
  return library;
}
