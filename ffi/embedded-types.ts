/** What the executable carries, as types: kept apart from the values, which the build replaces. */

/** A library inside the executable, compressed with zstd. */
export interface EmbeddedFile {
  /** Name that its folder gives it; the others are linked to it by that name. */
  readonly name: string;
  /** Of the library itself, uncompressed, in hex. */
  readonly sha256: string;
  /** Likewise. */
  readonly bytes: number;
  /** Path inside the executable, readable by `node:fs`. */
  readonly path: string;
}

export type EmbeddedLibraries =
  | { readonly kind: "folder"; readonly folder: string }
  | {
      readonly kind: "files";
      /** Made of the contents: equal keys are equal libraries. */
      readonly key: string;
      readonly files: readonly EmbeddedFile[];
    }
  /** Compiled on another platform, where libraries for this one cannot be built. */
  | { readonly kind: "none"; readonly platform: string };

/** The model `guide`: paths, of which the executable's are readable by `node:fs` and `Bun.file`. */
export interface EmbeddedGuide {
  readonly gguf: string;
  readonly template: string;
  readonly params: string;
  readonly license: string;
}

export interface Embedded {
  readonly libraries: EmbeddedLibraries;
  readonly guide: EmbeddedGuide | undefined;
}
