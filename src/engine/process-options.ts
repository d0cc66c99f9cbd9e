/** What the engine on libllama is made with: how its children are started, and what they may take. */
import type { Logger } from "../logger.ts";

export interface ProcessEngineOptions {
  /** The child's command line: this executable with its hidden command. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the native libraries are or may be unpacked (ffi/unpack.ts). */
  readonly libraries: {
    readonly cacheFolder: string | undefined;
    readonly tempFolder: string;
    readonly libraryFolder: string | undefined;
  };
  /** Folder and most bytes of evaluated prompts on disk; undefined = none. */
  readonly prefixCache: { readonly folder: string; readonly limitBytes: number } | undefined;
  /** Longest silence of a child that has work, milliseconds; 0 = any. */
  readonly stallMs: number;
  /** Longest load without a sign of progress, milliseconds; 0 = any. */
  readonly loadStallMs: number;
  readonly logger: Logger;
  /** Check what is sent, too, against its schema: in tests and development. */
  readonly checkMessages?: boolean;
}
