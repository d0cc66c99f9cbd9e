/**
 * Exclusion between processes that share a store: a lock file with its owner and an expiry. The owner
 * refreshes the file's time; a lock is free again when its owner's process is gone or has not refreshed
 * it for `expiryMs`. Readers of the store never take one.
 */
import { randomBytes } from "node:crypto";
import {
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { errorMessage, StoreError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { ensureFolder } from "./files.ts";

/** Silence after which an owner counts as gone, milliseconds. */
export const expiryMs = 20_000;
/** How often an owner shows that it lives, milliseconds. */
export const refreshMs = 2_000;

/** How long a command waits for another process to finish its change, milliseconds. */
const longestWaitMs = 15_000;
const lockPollMs = 5;

const OwnerShape = t.Object({ pid: t.Integer(), host: t.String(), token: t.String() });

/** What an owner writes of itself: one line. */
export function ownerText(token: string): string {
  return `${JSON.stringify({ pid: process.pid, host: hostname(), token })}\n`;
}

/** Text of a lock file; undefined when it is not there. */
export function readOwner(path: string): { text: string; modifiedAt: number } | undefined {
  try {
    return { text: readFileSync(path, "utf8"), modifiedAt: statSync(path).mtimeMs };
  } catch {
    return undefined; // released in this moment
  }
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Whether an owner will not come back. */
export function isAbandoned({ text, modifiedAt }: { text: string; modifiedAt: number }): boolean {
  if (Date.now() - modifiedAt > expiryMs) return true;
  let owner: unknown;
  try {
    owner = JSON.parse(text);
  } catch {
    return false; // not ours to judge before it expires
  }
  if (!Value.Check(OwnerShape, owner)) return false;
  return owner.host === hostname() && !processExists(owner.pid);
}

export class FileLock implements Disposable {
  readonly #path: string;
  readonly #text: string;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #lost = new AbortController();

  private constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
    this.#timer = setInterval(() => this.#refresh(), refreshMs);
    this.#timer.unref();
  }

  /** Takes the lock; undefined while another process, or another part of this one, has it. */
  static take(path: string): FileLock | undefined {
    ensureFolder(dirname(path));
    const token = randomBytes(12).toString("hex");
    const text = ownerText(token);
    const pending = `${path}-${token}`;
    writeFileSync(pending, text, { flag: "wx", mode: 0o644 });
    try {
      for (let attempt = 0; attempt < 3; attempt++) {
        try {
          linkSync(pending, path); // creates it whole, or fails
          return new FileLock(path, text);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
        }
        const owner = readOwner(path);
        if (owner !== undefined && !isAbandoned(owner)) return undefined;
        if (owner !== undefined) removeAbandoned(path, owner.text, `${pending}-old`);
      }
      return undefined;
    } finally {
      rmSync(pending, { force: true });
    }
  }

  /** Aborted when another process took the lock, because this one was asleep for too long. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  #refresh(): void {
    if (readOwner(this.#path)?.text !== this.#text) {
      clearInterval(this.#timer);
      this.#lost.abort();
      return;
    }
    const now = new Date();
    utimesSync(this.#path, now, now);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (readOwner(this.#path)?.text === this.#text) rmSync(this.#path, { force: true });
  }
}

/**
 * Moves an abandoned lock away. Of two processes that do this at once one may catch the other's new
 * lock: then it puts that back.
 */
function removeAbandoned(path: string, text: string, aside: string): void {
  try {
    renameSync(path, aside);
  } catch {
    return; // another process was faster
  }
  try {
    if (readFileSync(aside, "utf8") !== text) linkSync(aside, path);
  } catch {
    // A third process has it by now; the one whose lock was moved notices at its next refresh.
  } finally {
    rmSync(aside, { force: true });
  }
}

/**
 * Runs something that no other process may do at the same time. For what takes milliseconds: it blocks.
 * @throws StoreError when another process has the lock for too long
 */
export function alone<T>(path: string, logger: Logger, action: () => T): T {
  const end = Date.now() + longestWaitMs;
  for (;;) {
    using lock = tryLock(path, logger);
    if (lock !== undefined) return action();
    if (Date.now() > end) throw new StoreError("the store is locked by another process");
    Bun.sleepSync(lockPollMs);
  }
}

/** Undefined while another process has it; something without effect where there can be no locks. */
function tryLock(path: string, logger: Logger): Disposable | undefined {
  try {
    return FileLock.take(path);
  } catch (error) {
    // File systems without hard links: one server alone works there too.
    logger.debug("no lock", { path, error: errorMessage(error) });
    return { [Symbol.dispose]: () => {} };
  }
}
