/** manifest.json beside built libraries: what they are. Written last, so a folder that has it is whole. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeAtomic } from "./files.ts";

export interface LibraryFile {
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
  /** Whether the executable embeds it; GPU backends lie beside it instead, they are large. */
  readonly embed: boolean;
}

export interface LibraryManifest {
  readonly key: string;
  readonly llama: { readonly version: string; readonly commit: string };
  readonly flags: Readonly<Record<string, string>>;
  readonly compiler: string;
  readonly files: readonly LibraryFile[];
}

const name = "manifest.json";

/** The manifest, if the folder is whole: every file there, with its size. */
export function readManifest(folder: string): LibraryManifest | undefined {
  const file = join(folder, name);
  if (!existsSync(file)) return undefined;
  const manifest = JSON.parse(readFileSync(file, "utf8")) as LibraryManifest;
  const whole = manifest.files.every(
    (one) => statSync(join(folder, one.name), { throwIfNoEntry: false })?.size === one.bytes,
  );
  return whole ? manifest : undefined;
}

export function writeManifest(folder: string, manifest: LibraryManifest): void {
  writeAtomic(join(folder, name), `${JSON.stringify(manifest, null, 2)}\n`);
}
