/** Archives whose bytes depend on their contents alone: entries sorted, no owner, no time, no names. */
import { packTar, type TarEntry } from "modern-tar";

export interface ArchiveFile {
  /** Path in the archive, with `/`. */
  readonly path: string;
  readonly data: Uint8Array<ArrayBuffer> | string;
  readonly executable?: boolean;
}

/** The first day that all formats of archives can tell. */
const noTime = new Date("1980-01-01T00:00:00Z");
const owner = { uid: 0, gid: 0, uname: "", gname: "" } as const;
/** libdeflate's default; 9 takes twice the time for a third of a percent. */
const level = 6;

/** Folders above a path, outermost first. */
function parents(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, i) => `${parts.slice(0, i + 1).join("/")}/`);
}

/** A .tar.gz of files, with a folder's entry before what is in it. */
export async function tarGz(files: readonly ArchiveFile[]): Promise<Uint8Array<ArrayBuffer>> {
  const folders = [...new Set(files.flatMap(({ path }) => parents(path)))];
  const common = { mtime: noTime, ...owner };
  const entries: TarEntry[] = [
    ...folders.map((name) => ({
      header: { name, type: "directory" as const, size: 0, mode: 0o755, ...common },
    })),
    ...files.map(({ path, data, executable }) => {
      const body = typeof data === "string" ? new TextEncoder().encode(data) : data;
      const mode = executable ? 0o755 : 0o644;
      return {
        header: { name: path, type: "file" as const, size: body.length, mode, ...common },
        body,
      };
    }),
  ];
  entries.sort((a, b) => (a.header.name < b.header.name ? -1 : 1));
  const tar = await packTar(entries);
  return Bun.gzipSync(new Uint8Array(tar), { level, library: "libdeflate" });
}
