/**
 * Evaluated prompts on disk: what a sequence held, to be taken up after other conversations, a reload
 * or a restart. One file an entry, in a folder by model: a head with the tokens, then the engine's
 * bytes, both under a checksum. A damaged or foreign file is ignored and removed. Writing happens beside
 * the runner's work, into a temporary file that is renamed; the kernel's page cache is the fast tier.
 * Files hold what users wrote, as tokens: they are readable by their owner alone.
 */
import {
  closeSync,
  type Dirent,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { commonPrefix } from "./prefix.ts";

export interface PrefixCacheOptions {
  /** Folder of all models' entries; made when needed. */
  readonly folder: string;
  /** Most bytes of all entries together. */
  readonly limitBytes: number;
  /** Names everything that the bytes depend on: model file, adapters, cache type, engine version. */
  readonly key: string;
}

interface Entry {
  readonly path: string;
  readonly tokens: Int32Array;
}

/** "HPC2", little endian. */
const magic = 0x32435048;
/** magic, tokens, checksum of tokens and bytes. */
const headBytes = 16;
/** Entries that nobody used for so long are dropped, milliseconds. */
const longestIdle = 14 * 24 * 3600 * 1000;
const suffix = ".kv";

function readTokens(path: string): Int32Array | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return undefined; // removed by another process, or not readable: no entry
  }
  try {
    const head = Buffer.alloc(headBytes);
    if (readSync(file, head, 0, headBytes, 0) < headBytes) return undefined;
    const bytes = head.readUInt32LE(4) * 4;
    if (head.readUInt32LE(0) !== magic || fstatSync(file).size < headBytes + bytes) {
      return undefined;
    }
    const tokens = new Int32Array(bytes / 4);
    const got = readSync(file, new Uint8Array(tokens.buffer), 0, bytes, headBytes);
    return got === bytes ? tokens : undefined;
  } finally {
    closeSync(file);
  }
}

/** Tokens first: what follows is hashed on top of them, so that the two need not lie in one piece. */
function checksum(tokens: Int32Array, bytes: Uint8Array): bigint {
  const seed = Bun.hash.xxHash64(octets(tokens));
  return BigInt.asUintN(64, Bun.hash.xxHash64(bytes, seed));
}

function octets({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Where nothing can be removed the file stays, and is not looked at again. */
function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // read-only, or something else stands there now
  }
}

/** Says that an entry was used; where that cannot be noted it is only dropped earlier. */
function touch(path: string): void {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // read-only
  }
}

export class PrefixCache {
  readonly #folder: string;
  readonly #options: PrefixCacheOptions;
  #entries: Entry[] | undefined;
  #saving: Promise<void> = Promise.resolve();
  #names = 0;

  constructor(options: PrefixCacheOptions) {
    this.#options = options;
    this.#folder = join(options.folder, options.key);
  }

  /**
   * The entry that shares most of a prompt, when that is at least `atLeast` tokens.
   * @param whole only entries that the prompt begins with to their end: the model cannot drop a tail
   */
  find(
    prompt: ArrayLike<number>,
    atLeast: number,
    whole: boolean,
  ): { tokens: Int32Array; common: number; bytes: () => Uint8Array | undefined } | undefined {
    if (prompt.length < atLeast) return undefined;
    let best: { entry: Entry; common: number } | undefined;
    for (const entry of this.#list()) {
      const common = commonPrefix(entry.tokens, prompt);
      if (common < atLeast || (whole && common < entry.tokens.length)) continue;
      if (best === undefined || common > best.common) best = { entry, common };
    }
    if (best === undefined) return undefined;
    const { entry, common } = best;
    return { tokens: entry.tokens, common, bytes: () => this.#read(entry) };
  }

  /** How many of the first tokens are saved already. */
  covered(tokens: ArrayLike<number>): number {
    return this.#list().reduce(
      (most, entry) => Math.max(most, commonPrefix(entry.tokens, tokens)),
      0,
    );
  }

  /** Writes an entry in the background; failures cost the entry alone. Settles when it is done. */
  save(tokens: Int32Array, bytes: Uint8Array): Promise<void> {
    const { limitBytes } = this.#options;
    if (bytes.length > limitBytes / 2) return this.#saving;
    this.#saving = this.#saving.then(() => this.#write(tokens, bytes)).catch(() => {});
    return this.#saving;
  }

  #list(): Entry[] {
    if (this.#entries !== undefined) return this.#entries;
    this.#entries = [];
    let found: Dirent[];
    try {
      found = readdirSync(this.#folder, { withFileTypes: true });
    } catch {
      return this.#entries; // nothing was saved yet
    }
    for (const file of found) {
      const path = join(this.#folder, file.name);
      if (!file.isFile() || !file.name.endsWith(suffix)) continue;
      const tokens = readTokens(path);
      if (tokens === undefined) removeFile(path);
      else this.#entries.push({ path, tokens });
    }
    return this.#entries;
  }

  #forget(entry: Entry): void {
    this.#entries = this.#entries?.filter((other) => other !== entry);
    removeFile(entry.path);
  }

  #read(entry: Entry): Uint8Array | undefined {
    try {
      const file = readFileSync(entry.path);
      const bytes = file.subarray(headBytes + entry.tokens.length * 4);
      if (file.readBigUInt64LE(8) === checksum(entry.tokens, bytes)) {
        touch(entry.path);
        return bytes;
      }
    } catch {
      // removed by another process meanwhile: forgotten below
    }
    this.#forget(entry);
    return undefined;
  }

  async #write(tokens: Int32Array, bytes: Uint8Array): Promise<void> {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const known = this.#list(); // before the new file is one of them
    this.#makeRoom(headBytes + tokens.byteLength + bytes.length);
    const head = Buffer.alloc(headBytes);
    head.writeUInt32LE(magic, 0);
    head.writeUInt32LE(tokens.length, 4);
    head.writeBigUInt64LE(checksum(tokens, bytes), 8);
    const name = `${process.pid}-${Date.now()}-${this.#names++}`;
    const temporary = join(this.#folder, `${name}.tmp`);
    try {
      const file = await open(temporary, "wx", 0o600);
      try {
        await file.writeFile(head);
        await file.writeFile(octets(tokens));
        await file.writeFile(bytes);
      } finally {
        await file.close();
      }
      const path = join(this.#folder, `${name}${suffix}`);
      await rename(temporary, path);
      // A conversation that has grown replaces what it was.
      for (const old of known) {
        if (commonPrefix(old.tokens, tokens) === old.tokens.length) this.#forget(old);
      }
      this.#entries?.push({ path, tokens });
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** Drops what is old, then the least recently used of all models until the bound holds with so many bytes more. */
  #makeRoom(more: number): void {
    const { folder, limitBytes } = this.#options;
    const files: { path: string; bytes: number; used: number }[] = [];
    for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
      const path = join(folder, name);
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat?.isFile()) files.push({ path, bytes: stat.size, used: stat.mtimeMs });
    }
    let left = files.reduce((sum, { bytes }) => sum + bytes, more);
    const oldest = Date.now() - longestIdle;
    for (const { path, bytes, used } of files.sort((a, b) => a.used - b.used)) {
      if (used >= oldest && left <= limitBytes) return;
      removeFile(path);
      this.#entries = this.#entries?.filter((entry) => entry.path !== path);
      left -= bytes;
    }
  }
}
