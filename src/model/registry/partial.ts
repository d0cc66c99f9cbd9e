/**
 * A blob that is being downloaded, on disk, in Ollama's form (store.md 6): `<blob>-partial` holds the
 * bytes at their places, `<blob>-partial-0` says which are there. hutch writes one part that covers the
 * whole blob, with the bytes from its start as `Completed`, and what lies beyond a gap in the additional
 * field `Ranges`; Ollama goes on from such a file, and hutch from Ollama's parts. The state of the hash is
 * in `<blob>-hash`: Ollama takes every file named `<blob>-partial-*` for a part.
 */
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { errorMessage, StoreError } from "../../errors.ts";
import { ensureFolder, syncFolder } from "../files.ts";
import type { HashState } from "../hash/arrival.ts";
import { HashNote } from "../hash/note.ts";
import { addRange, frontOf, type Range, sizeOf } from "./ranges.ts";

const whole = t.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const PartShape = t.Object({
  N: whole,
  Offset: whole,
  Size: whole,
  Completed: whole,
  Ranges: t.Optional(t.Array(t.Tuple([whole, whole]))),
});
export type PartShape = Static<typeof PartShape>;

/** Unsaved bytes after which progress is written down: with what is under way, at most 8 MiB are lost. */
const saveEvery = 4 * 2 ** 20;

/** Paths of the part files of a blob. */
function partPaths(blobPath: string): string[] {
  const prefix = `${basename(blobPath)}-partial-`;
  return readdirSync(dirname(blobPath))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => join(dirname(blobPath), name));
}

const hashPath = (blobPath: string) => `${blobPath}-hash`;

function readPart(path: string): PartShape | undefined {
  try {
    const part: unknown = JSON.parse(readFileSync(path, "utf8"));
    return Value.Check(PartShape, part) ? part : undefined;
  } catch {
    return undefined; // cut off by a crash of another program
  }
}

/**
 * What is there, by the part files. Parts that overlap, leave gaps or do not fit the blob's size are not
 * believed: then nothing is there.
 */
export function rangesOf(parts: readonly (PartShape | undefined)[], total: number): Range[] {
  const known = parts.filter((part) => part !== undefined);
  // Ours covers everything; others beside it are left over from a change of the form.
  const ours = known.find(({ N, Offset, Size }) => N === 0 && Offset === 0 && Size === total);
  if (ours !== undefined) return partRanges(ours, total) ?? [];
  if (known.length !== parts.length) return [];
  let ranges: Range[] = [];
  let at = 0;
  for (const part of [...known].sort((a, b) => a.Offset - b.Offset)) {
    const own = partRanges(part, total);
    if (own === undefined || part.Offset !== at) return [];
    at += part.Size;
    for (const range of own) ranges = addRange(ranges, range);
  }
  return at === total ? ranges : [];
}

function partRanges({ Offset, Size, Completed, Ranges = [] }: PartShape, total: number) {
  const all: Range[] = [[Offset, Offset + Completed], ...Ranges];
  if (Completed > Size || Offset + Size > total) return undefined;
  if (all.some(([start, end]) => start > end || end > total)) return undefined;
  return all.reduce<Range[]>((sum, range) => addRange(sum, range), []);
}

/** Removes what is left of a download of a blob. */
export function removePartial(blobPath: string): void {
  try {
    for (const path of partPaths(blobPath)) rmSync(path, { force: true });
  } catch {
    return; // no folder, so nothing in it
  }
  rmSync(hashPath(blobPath), { force: true });
  rmSync(`${blobPath}-partial`, { force: true });
}

const fullDisk: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on device",
  EDQUOT: "disk quota exceeded",
  EFBIG: "file too large",
};

/** What the operating system refused, in words. */
function writeError(error: unknown, path: string): StoreError {
  const reason = fullDisk[(error as NodeJS.ErrnoException).code ?? ""] ?? errorMessage(error);
  return new StoreError(`write ${path}: ${reason}`, { cause: error });
}

/** The bytes of a download so far. One process at a time: see `FileLock`. */
export class PartialBlob {
  readonly total: number;
  readonly #blobPath: string;
  readonly #file: FileHandle;
  readonly #hashNote: HashNote;
  #ranges: readonly Range[];
  #unsaved = 0;
  /** State of the hash that was saved with what is there, if any. */
  readonly savedHash: HashState | undefined;
  /** Asked for the state of the hash whenever progress is written down. */
  hashState: () => HashState | undefined;

  private constructor(blobPath: string, total: number, file: FileHandle, ranges: readonly Range[]) {
    this.#blobPath = blobPath;
    this.total = total;
    this.#file = file;
    this.#ranges = ranges;
    this.#hashNote = new HashNote(hashPath(blobPath), total);
    // Another front: another program has gone on meanwhile, or begun anew.
    this.savedHash = this.#hashNote.read().find(({ front }) => front === this.front);
    this.hashState = () => this.savedHash;
  }

  /** Opens what is there of a blob, or makes room for it (a sparse file). @throws StoreError */
  static async open(blobPath: string, total: number): Promise<PartialBlob> {
    ensureFolder(dirname(blobPath));
    const path = `${blobPath}-partial`;
    const there = statSync(path, { throwIfNoEntry: false })?.size === total;
    const parts = partPaths(blobPath);
    const ranges = there ? rangesOf(parts.map(readPart), total) : [];
    const file = await open(path, there ? "r+" : "w+", 0o644);
    const partial = new PartialBlob(blobPath, total, file, ranges);
    try {
      if (!there) await file.truncate(total);
      partial.save();
    } catch (error) {
      await file.close();
      throw writeError(error, path);
    }
    for (const part of parts) if (!part.endsWith("-partial-0")) rmSync(part, { force: true });
    return partial;
  }

  get ranges(): readonly Range[] {
    return this.#ranges;
  }

  /** Bytes that are there. */
  get completed(): number {
    return sizeOf(this.#ranges);
  }

  /** End of what is there from byte 0 on. */
  get front(): number {
    return frontOf(this.#ranges);
  }

  /** Writes bytes to their place; `saveIfDue` writes down that they are there. @throws StoreError */
  async write(chunks: readonly Uint8Array[], offset: number): Promise<void> {
    const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    try {
      let done = (await this.#file.writev(chunks as Uint8Array[], offset)).bytesWritten;
      if (done < size) {
        const rest = Buffer.concat(chunks);
        while (done < size) {
          done += (await this.#file.write(rest, done, size - done, offset + done)).bytesWritten;
        }
      }
    } catch (error) {
      throw writeError(error, `${this.#blobPath}-partial`);
    }
    this.#ranges = addRange(this.#ranges, [offset, offset + size]);
    this.#unsaved += size;
  }

  /** Writes down what is there, after enough progress. @throws StoreError when the disk is full */
  saveIfDue(): void {
    if (this.#unsaved >= saveEvery) this.save();
  }

  /** Reads bytes that are there; fewer when the file is shorter than it should be. */
  async read(buffer: Uint8Array, offset: number): Promise<number> {
    return (await this.#file.read(buffer, 0, buffer.length, offset)).bytesRead;
  }

  /** Writes down what is there, whole or not at all. @throws StoreError */
  save(): void {
    const front = this.front;
    const beyond = this.#ranges.filter(([start]) => start > front);
    const part: PartShape = { N: 0, Offset: 0, Size: this.total, Completed: front };
    const text = JSON.stringify(beyond.length === 0 ? part : { ...part, Ranges: beyond });
    const path = `${this.#blobPath}-partial-0`;
    // The kernel keeps both across the death of this process; after a loss of power the digest tells.
    const pending = `${this.#blobPath}-partial.part`;
    try {
      this.#hashNote.write(front, this.hashState());
      writeFileSync(pending, `${text}\n`, { mode: 0o644 });
      renameSync(pending, path);
    } catch (error) {
      rmSync(pending, { force: true });
      throw writeError(error, path);
    }
    this.#unsaved = 0;
  }

  /** Gives the blob its name; from then on it is there for everybody. */
  async finish(): Promise<void> {
    try {
      await this.#file.datasync();
    } catch (error) {
      throw writeError(error, `${this.#blobPath}-partial`);
    }
    await this.#file.close();
    renameSync(`${this.#blobPath}-partial`, this.#blobPath);
    syncFolder(dirname(this.#blobPath));
    for (const path of partPaths(this.#blobPath)) rmSync(path, { force: true });
    this.#hashNote.remove();
  }

  /** Stops; what is there stays for the next time. */
  async pause(): Promise<void> {
    try {
      this.save();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // A full disk: the last note stays, and is true.
    } finally {
      await this.#file.close();
    }
  }

  /** Stops and removes everything: the bytes are wrong. */
  async discard(): Promise<void> {
    await this.#file.close();
    removePartial(this.#blobPath);
  }
}
