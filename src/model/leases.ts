/**
 * What a process is about to name in a manifest: a file in the store with its owner and digests. Nobody
 * removes a blob that a living owner has listed, so what was found there while a model is made is there
 * when its manifest is written. Owners refresh the file's time; those that died are seen as locks are.
 */
import { randomBytes } from "node:crypto";
import { readdirSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureFolder } from "./files.ts";
import { isAbandoned, ownerText, readOwner, refreshMs } from "./lock.ts";

const fileName = /^lease-[0-9a-f]{24}$/;

/** One model that is being made. Digests are added under the store's lock, before it is asked for them. */
export class Lease implements Disposable {
  readonly #path: string;
  readonly #owner: string;
  readonly #digests = new Set<string>();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #onEnd: (lease: Lease) => void;

  /** @param onEnd called once, when it is given back */
  constructor(folder: string, onEnd: (lease: Lease) => void = () => {}) {
    const token = randomBytes(12).toString("hex");
    this.#path = join(folder, `lease-${token}`);
    this.#owner = ownerText(token);
    this.#onEnd = onEnd;
    this.#timer = setInterval(() => this.#refresh(), refreshMs);
    this.#timer.unref();
  }

  has(digest: string): boolean {
    return this.#digests.has(digest);
  }

  add(digest: string): void {
    if (this.#digests.has(digest)) return;
    this.#digests.add(digest);
    ensureFolder(join(this.#path, ".."));
    // Whole or not at all: readers come at any time.
    const pending = `${this.#path}-new`;
    writeFileSync(pending, `${this.#owner}${[...this.#digests].join("\n")}\n`, { mode: 0o644 });
    renameSync(pending, this.#path);
  }

  #refresh(): void {
    if (this.#digests.size === 0) return;
    try {
      const now = new Date();
      utimesSync(this.#path, now, now);
    } catch {
      // Taken for abandoned while this process slept; the store looks once more before it writes.
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    rmSync(this.#path, { force: true });
    this.#onEnd(this);
  }
}

/** Digests that living owners have listed. Leases of dead ones are removed. */
export function leasedDigests(folder: string): Set<string> {
  const digests = new Set<string>();
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => fileName.test(name));
  } catch {
    return digests; // no store yet
  }
  for (const name of names) {
    const path = join(folder, name);
    const found = readOwner(path);
    if (found === undefined) continue;
    const [owner = "", ...listed] = found.text.split("\n");
    if (isAbandoned({ ...found, text: owner })) rmSync(path, { force: true });
    else for (const digest of listed) if (digest !== "") digests.add(digest);
  }
  return digests;
}
