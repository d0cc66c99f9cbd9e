/**
 * One build at a time in a build folder. The lock is SQLite's on an empty database: the system drops
 * it when its holder ends in whatever way, so a killed build leaves nothing to clean up.
 */
import { Database, SQLiteError } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** Runs `work` while holding the lock `file`; calls `onWait` once when somebody else holds it. */
export async function withLock<T>(
  file: string,
  onWait: () => void,
  work: () => Promise<T>,
): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  using database = new Database(file);
  database.run("PRAGMA busy_timeout = 0");
  let told = false;
  while (!tryLock(database)) {
    if (!told) onWait();
    told = true;
    await Bun.sleep(250);
  }
  return await work();
}

function tryLock(database: Database): boolean {
  try {
    database.run("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if (error instanceof SQLiteError && error.code?.startsWith("SQLITE_BUSY")) return false;
    throw error;
  }
}
