/**
 * The model store: Ollama's layout, in place (store.md). Manifests by name, blobs by digest. Other
 * processes may change it at any time, so nothing is remembered that a request could not check again.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { errorMessage, ModelNotFoundError, StoreError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { Blobs } from "./blobs.ts";
import { type Digest, parseDigest } from "./digest.ts";
import { ensureFolder, PendingFile } from "./files.ts";
import { Lease, leasedDigests } from "./leases.ts";
import { alone } from "./lock.ts";
import {
  digestsOf,
  type Layer,
  largestManifest,
  type Manifest,
  parseManifest,
  renderManifest,
} from "./manifest.ts";
import { type Identity, identityOf, isUnchanged, ManifestIndex } from "./manifest-index.ts";
import {
  displayName,
  isValidName,
  type ModelName,
  manifestPath,
  nameOfPath,
  nameParts,
} from "./name.ts";
import { datedEntries, foldersBelow, prunable } from "./prune.ts";

/** A manifest as it lies in the store. */
export interface StoredManifest {
  readonly name: ModelName;
  readonly manifest: Manifest;
  /** SHA-256 of the file, 64 hex digits: the model's digest. */
  readonly digest: string;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
}

export class Store extends Blobs {
  readonly root: string;
  readonly #manifests: string;
  readonly #noPrune: boolean;
  readonly #index: ManifestIndex;
  /** Files of names that were asked for; undefined for what cannot be a name. */
  readonly #files = new WeakMap<ModelName, { readonly path: string | undefined }>();
  /** Manifests that were read, by file; void when the file has changed. */
  readonly #read = new Map<
    string,
    { readonly identity: Identity; readonly found: StoredManifest }
  >();
  readonly #logger: Logger;
  /** Of models that this process makes now. */
  readonly #leases = new Set<Lease>();

  constructor(root: string, options: { noPrune: boolean; logger: Logger }) {
    super(join(resolve(root), "blobs"));
    this.root = resolve(root);
    this.#manifests = join(this.root, "manifests");
    this.#noPrune = options.noPrune;
    this.#index = new ManifestIndex(this.#manifests);
    this.#logger = options.logger.area("store");
  }

  /** Whether blobs that nobody mentions are kept (NOPRUNE). */
  get keepsUnused(): boolean {
    return this.#noPrune;
  }

  // --- manifests -------------------------------------------------------------------------------

  #manifestFile(name: ModelName): string {
    return join(this.#manifests, manifestPath(name));
  }

  /**
   * A stored manifest, byte for byte.
   * @throws ModelNotFoundError with the text of a file that is not there (registry.md 5)
   */
  manifestBytes(name: ModelName): Uint8Array {
    const file = this.#manifestFile(this.stored(name));
    try {
      return readFileSync(file);
    } catch (cause) {
      throw new ModelNotFoundError(`open ${file}: no such file or directory`, { cause });
    }
  }

  /**
   * Stores a manifest as it is, unless a blob is missing; unlike `writeManifest` it removes nothing.
   * @param needed what the manifest mentions
   * @returns the missing ones: with any, nothing was written
   */
  putManifestBytes(name: ModelName, bytes: Uint8Array, needed: readonly Digest[]): Digest[] {
    return this.#alone(() => {
      const lost = needed.filter((digest) => !this.hasBlob(digest));
      if (lost.length === 0) this.#writeManifestBytes(this.stored(name), bytes);
      return lost;
    });
  }

  /** Digests that a stored model mentions; none when there is no readable manifest. */
  digests(name: ModelName): Set<string> {
    const found = this.#tryManifest(name);
    return found === undefined ? new Set() : digestsOf(found.manifest);
  }

  /** Whether a blob that a stored model mentions is missing. */
  lacksBlobs(name: ModelName): boolean {
    return [...this.digests(name)].some((digest) => !this.hasBlob(parseDigest(digest)));
  }

  /** Names of all manifests whose path is a valid name, sorted. */
  names(): ModelName[] {
    return this.#index.paths().flatMap((path) => {
      const name = nameOfPath(path);
      return name === undefined ? [] : [name];
    });
  }

  /** The name in the case of what is stored, part by part (store.md 2b). */
  stored(name: ModelName): ModelName {
    if (existsSync(this.#manifestFile(name))) return name;
    const names = this.names();
    const folded: Record<string, string> = {};
    for (const part of nameParts) {
      const wanted = name[part].toLowerCase();
      const found = names.find((known) => known[part].toLowerCase() === wanted);
      folded[part] = found?.[part] ?? name[part];
    }
    return { ...name, ...folded };
  }

  /** A stored manifest in its stored case; undefined when there is none. @throws StoreError */
  manifest(name: ModelName): StoredManifest | undefined {
    let file = this.#files.get(name);
    if (file === undefined) {
      file = { path: isValidName(name) ? this.#manifestFile(name) : undefined };
      this.#files.set(name, file);
    }
    if (file.path === undefined) return undefined;
    return this.#readManifest(name, file.path) ?? this.#readManifest(this.stored(name));
  }

  /** @param name in its stored case */
  #readManifest(name: ModelName, file = this.#manifestFile(name)): StoredManifest | undefined {
    const identity = identityOf(file);
    if (identity === undefined || !identity.isFile) {
      this.#read.delete(file);
      return undefined;
    }
    const known = this.#read.get(file);
    if (known !== undefined && isUnchanged(known.identity, identity)) return known.found;
    const { size, modifiedAt } = identity;
    if (size > largestManifest) {
      throw new StoreError(
        `read manifest of ${displayName(name)}: larger than ${largestManifest} bytes`,
      );
    }
    let bytes: Buffer;
    try {
      bytes = readFileSync(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const digest = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    const manifest = parseManifest(bytes.toString("utf8"));
    const found = { name, manifest, digest, modifiedAt };
    if (identity.settled) this.#read.set(file, { identity, found });
    return found;
  }

  /** All readable manifests; damaged ones are left out with a log line. */
  manifests(): StoredManifest[] {
    return this.names().flatMap((name) => {
      try {
        const found = this.#readManifest(name);
        return found === undefined ? [] : [found];
      } catch (error) {
        this.#logger.warn("skipping a damaged manifest", {
          name: displayName(name),
          error: errorMessage(error),
        });
        return [];
      }
    });
  }

  /**
   * A lease on every blob that is stored, reused or touched until it is given back: neither deletions
   * nor pruning take those, here or in another process.
   */
  lease(): Disposable {
    const lease = new Lease(this.blobFolder, (ended) => this.#leases.delete(ended));
    this.#leases.add(lease);
    return lease;
  }

  protected override announce(digest: Digest): void {
    const leases = [...this.#leases].filter((lease) => !lease.has(digest));
    if (leases.length === 0) return;
    // Alone: whoever is removing has either gone or will see the lease.
    this.#alone(() => {
      for (const lease of leases) lease.add(digest);
    });
  }

  /**
   * Writes a manifest, then removes layers that only the old one mentioned.
   * @param lease of this model, which ends with the manifest: what is no part of it may go
   */
  writeManifest(
    name: ModelName,
    config: Layer,
    layers: readonly Layer[],
    lease?: Disposable,
  ): void {
    this.#alone(() => {
      // What was there when the model was begun may have gone with another model's deletion.
      const lost = [config, ...layers].find(({ digest }) => !this.hasBlob(parseDigest(digest)));
      if (lost !== undefined) {
        throw new StoreError(
          `write manifest of ${displayName(name)}: ${lost.digest} was removed meanwhile, try again`,
        );
      }
      const old = this.#tryManifest(name);
      this.#writeManifestBytes(name, renderManifest(config, layers));
      lease?.[Symbol.dispose]();
      if (old !== undefined && !this.#noPrune) this.#removeUnmentioned(digestsOf(old.manifest));
    });
  }

  /** Between finding that nobody needs a blob and removing it, nobody may come to need it. */
  #alone<T>(action: () => T): T {
    return alone(join(this.blobFolder, "store.lock"), this.#logger, action);
  }

  #tryManifest(name: ModelName): StoredManifest | undefined {
    try {
      return this.manifest(name);
    } catch {
      return undefined; // a damaged manifest is simply replaced
    }
  }

  #writeManifestBytes(name: ModelName, content: string | Uint8Array): void {
    // The temporary file lies outside manifests/: every file there counts as a model.
    const file = PendingFile.create(this.blobFolder, "manifest-");
    try {
      file.write(typeof content === "string" ? new TextEncoder().encode(content) : content);
      file.commit(this.#manifestFile(name));
    } finally {
      file.discard();
    }
  }

  /** Copies a model by its manifest's bytes, so that the digest stays. @throws ModelNotFoundError */
  copy(source: ModelName, target: ModelName): void {
    const from = this.stored(source);
    const to = this.stored(target);
    this.#alone(() => {
      let bytes: Buffer;
      try {
        bytes = readFileSync(this.#manifestFile(from));
      } catch (cause) {
        throw new ModelNotFoundError(`model "${displayName(from)}" not found`, { cause });
      }
      if (manifestPath(from) !== manifestPath(to)) this.#writeManifestBytes(to, bytes);
    });
  }

  /** Removes a model and the blobs that no other readable manifest mentions. @throws ModelNotFoundError */
  delete(name: ModelName): void {
    const stored = this.stored(name);
    const file = this.#manifestFile(stored);
    if (!existsSync(file)) {
      throw new ModelNotFoundError(`model '${displayName(stored)}' not found`);
    }
    this.#alone(() => {
      const old = this.#tryManifest(stored);
      rmSync(file, { force: true });
      if (old !== undefined) this.#removeUnmentioned(digestsOf(old.manifest));
      this.#removeEmptyFolders(dirname(file));
    });
  }

  /** Removes those of some blobs that no readable manifest mentions. */
  removeUnmentioned(candidates: ReadonlySet<string>): void {
    if (candidates.size > 0) this.#alone(() => this.#removeUnmentioned(candidates));
  }

  #removeUnmentioned(candidates: ReadonlySet<string>): void {
    const mentioned = leasedDigests(this.blobFolder);
    for (const { manifest } of this.manifests()) {
      for (const digest of digestsOf(manifest)) mentioned.add(digest);
    }
    for (const digest of candidates) {
      if (mentioned.has(digest)) continue;
      try {
        rmSync(this.blobPath(parseDigest(digest)), { force: true });
      } catch (error) {
        this.#logger.warn("could not remove a blob", { digest, error: errorMessage(error) });
      }
    }
  }

  /** Removes a folder below manifests/ and its parents while they are empty. */
  #removeEmptyFolders(folder: string): void {
    let current = folder;
    while (current.startsWith(this.#manifests)) {
      try {
        rmdirSync(current);
      } catch {
        return; // not empty, or gone
      }
      current = dirname(current);
    }
  }

  /**
   * Removes what nobody needs, at the start of a server (store.md 7): old temporary files and
   * unmentioned blobs, both only after an hour, because another process may be at work on them.
   * Afterwards the folders of a store are there, as the first start of the reference leaves them.
   */
  prune(): { blobs: number; removed: number } {
    const counts =
      this.#noPrune || !existsSync(this.blobFolder) ? this.#prune() : this.#pruneAlone();
    for (const folder of [this.blobFolder, this.#manifests]) {
      try {
        ensureFolder(folder);
      } catch (error) {
        this.#logger.warn("could not make a folder", { folder, error: errorMessage(error) });
      }
    }
    return counts;
  }

  /** A store that another process changes all the time is pruned at another start. */
  #pruneAlone(): { blobs: number; removed: number } {
    try {
      return this.#alone(() => this.#prune());
    } catch (error) {
      this.#logger.warn("not pruning", { error: errorMessage(error) });
      return { blobs: this.#blobEntries().length, removed: 0 };
    }
  }

  #prune(): { blobs: number; removed: number } {
    const entries = this.#blobEntries();
    for (const entry of entries) {
      if (!entry.startsWith("sha256:")) continue;
      renameSync(join(this.blobFolder, entry), join(this.blobFolder, entry.replace(":", "-")));
    }
    if (this.#noPrune) return { blobs: entries.length, removed: 0 };
    const mentioned = leasedDigests(this.blobFolder);
    for (const name of this.names()) {
      try {
        const found = this.manifest(name);
        if (found !== undefined)
          for (const digest of digestsOf(found.manifest)) mentioned.add(digest);
      } catch (error) {
        this.#logger.warn("not pruning: a manifest is damaged", {
          name: displayName(name),
          error: errorMessage(error),
        });
        return { blobs: entries.length, removed: 0 };
      }
    }
    let removed = 0;
    for (const entry of prunable(datedEntries(this.blobFolder), mentioned, Date.now())) {
      const path = join(this.blobFolder, entry);
      try {
        rmSync(path, { recursive: true, force: true });
        removed++;
      } catch (error) {
        this.#logger.warn("could not remove a file", { path, error: errorMessage(error) });
      }
    }
    for (const folder of foldersBelow(this.#manifests)) this.#removeEmptyFolders(folder);
    return { blobs: entries.length, removed };
  }

  /** Files of the store; those of whoever works on it now are none. */
  #blobEntries(): string[] {
    try {
      return readdirSync(this.blobFolder).filter((name) => !/^(store\.lock|lease-)/.test(name));
    } catch {
      return []; // no store yet
    }
  }
}
