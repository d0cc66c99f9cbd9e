/**
 * What lists say of models, kept on disk by manifest digest, so that a server that has just started
 * need not read the heads of hundreds of files. Checked when read; a damaged or foreign file is
 * forgotten and written anew. Losing it costs time only.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { digestOf } from "./digest.ts";

const text = t.String();

/** All of a row that follows from a manifest's contents. */
export const CachedRow = t.Object({
  size: t.Number(),
  details: t.Object({
    parent_model: text,
    format: text,
    family: text,
    families: t.Union([t.Array(text), t.Null()]),
    parameter_size: text,
    quantization_level: text,
    context_length: t.Optional(t.Number()),
    embedding_length: t.Optional(t.Number()),
  }),
  capabilities: t.Array(text),
  /** The GGUF that it was read from, and its size: without it the row is void. */
  gguf: t.Optional(t.Object({ path: text, size: t.Number() })),
});
export type CachedRow = Static<typeof CachedRow>;

const version = 1;
const CacheFile = t.Object({ version: t.Literal(version), rows: t.Record(text, CachedRow) });

export class RowCache {
  readonly #path: string | undefined;
  #rows = new Map<string, CachedRow>();
  #changed = false;

  /** @param path file; undefined: rows are kept in this process only */
  constructor(path: string | undefined) {
    this.#path = path;
    if (path !== undefined) this.#rows = read(path);
  }

  /** A row whose file is still there. */
  get(key: string): CachedRow | undefined {
    const row = this.#rows.get(key);
    if (row?.gguf === undefined) return row;
    const stat = statSync(row.gguf.path, { throwIfNoEntry: false });
    return stat?.size === row.gguf.size ? row : undefined;
  }

  set(key: string, row: CachedRow): void {
    this.#rows.set(key, row);
    this.#changed = true;
  }

  /** Writes what is new, without rows that nobody asked for. */
  save(used: ReadonlySet<string>): void {
    if (!this.#changed || this.#path === undefined) return;
    this.#changed = false;
    for (const key of this.#rows.keys()) if (!used.has(key)) this.#rows.delete(key);
    const body = JSON.stringify({ version, rows: Object.fromEntries(this.#rows) });
    const temporary = `${this.#path}.${process.pid}`;
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      writeFileSync(temporary, `${digestOf(body)}\n${body}`);
      renameSync(temporary, this.#path);
    } catch {
      // A full or read-only disk: the rows stay in memory.
      rmSync(temporary, { force: true });
    }
  }
}

function read(path: string): Map<string, CachedRow> {
  try {
    const content = readFileSync(path, "utf8");
    const end = content.indexOf("\n");
    const body = content.slice(end + 1);
    if (content.slice(0, end) !== digestOf(body)) return new Map();
    const file: unknown = JSON.parse(body);
    return Value.Check(CacheFile, file) ? new Map(Object.entries(file.rows)) : new Map();
  } catch {
    return new Map(); // not there yet, or damaged
  }
}
