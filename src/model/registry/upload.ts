/**
 * The upload of one blob (registry.md 5): a session at the registry, parts by PATCH, a PUT that ends it.
 * A registry may send each part on to a storage host; then the parts travel side by side. How far an
 * upload has come is written down, so that another push goes on from there.
 */
import {
  createReadStream,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { errorMessage, isAbortError, RegistryError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import type { Digest } from "../digest.ts";
import { isRedirect, locationOf } from "./address.ts";
import { abortReason } from "./exchange.ts";
import type { Range } from "./ranges.ts";
import { mayRetry, pauseMs, retriesExceeded } from "./retry.ts";
import { type RegistrySession, statusError } from "./session.ts";
import {
  ociDialect,
  ownDialect,
  partSize,
  partsOf,
  receivedBytes,
  uploadTag,
} from "./upload-parts.ts";
import { pause } from "./wait.ts";

/** Most parts on their way to a storage host at once. */
const mostStoragePuts = 8;
/** Bytes read from the blob at a time. */
const readSize = 256 * 1024;
/** How often an upload that the registry has forgotten is begun anew. */
const mostBeginnings = 3;
/** How long a registry may take to hash what it got, milliseconds per byte and at least. */
const commitMs = (size: number, stallMs: number) => Math.max(stallMs * 4, size / 20_000);

export interface UploadOptions {
  readonly session: RegistrySession;
  readonly digest: Digest;
  /** Where the blob lies. */
  readonly path: string;
  /** Repository of the same registry that may have the blob already. */
  readonly mountFrom: string | undefined;
  readonly onProgress: (completed: number) => void;
  readonly signal: AbortSignal;
  /** Unit of the pauses between tries, milliseconds. */
  readonly retryMs: number;
  readonly logger: Logger;
}

const NoteShape = t.Object({
  url: t.String(),
  offset: t.Integer({ minimum: 0 }),
  md5s: t.Array(t.String({ pattern: "^[0-9a-f]{32}$" })),
  partSize: t.Integer({ minimum: 1 }),
});

/** An upload that the registry no longer knows. */
class ForgottenUploadError extends RegistryError {}

/** Uploads a blob that the registry lacks. @throws RegistryError, AbortError */
export async function uploadBlob(options: UploadOptions): Promise<void> {
  for (let beginning = 1; ; beginning++) {
    const upload = new Upload(options);
    try {
      await upload.run();
      return;
    } catch (error) {
      if (!(error instanceof ForgottenUploadError) || beginning === mostBeginnings) throw error;
      options.logger.info("an upload begins anew", {
        digest: options.digest,
        reason: error.message,
      });
    }
  }
}

class Upload {
  readonly #options: UploadOptions;
  readonly #size: number;
  readonly #notePath: string;
  /** Where the next part goes. */
  #url: URL | undefined;
  #offset = 0;
  #md5s: string[] = [];
  #partSize = ownDialect.least;
  #sent = 0;
  /** Whether the upload can be gone on with by another push: no part went to a storage host. */
  #resumable = true;
  readonly #puts = new Set<Promise<void>>();
  #failure: unknown;

  constructor(options: UploadOptions) {
    this.#options = options;
    this.#size = statSync(options.path).size;
    const { base, repository } = options.session;
    const place = new Bun.CryptoHasher("sha256").update(`${base.host}/${repository}`).digest("hex");
    this.#notePath = `${options.path}-upload-${place.slice(0, 12)}`;
  }

  async run(): Promise<void> {
    if (!(await this.#goOn())) {
      let mounted = false;
      await this.#retrying(async () => {
        mounted = await this.#begin();
      });
      if (mounted) return;
    }
    for (const part of partsOf(this.#offset, this.#size, this.#partSize)) {
      await this.#retrying(() => this.#part(part));
      if (this.#failure !== undefined) break;
      this.#offset = part[1];
      this.#note();
      while (this.#puts.size >= mostStoragePuts) await Promise.race(this.#puts);
    }
    await Promise.all(this.#puts);
    if (this.#failure !== undefined) throw this.#failure;
    await this.#retrying(() => this.#commit());
    rmSync(this.#notePath, { force: true });
    this.#options.onProgress(this.#size);
  }

  /** Takes up what an earlier push has noted, if the registry still knows it. */
  async #goOn(): Promise<boolean> {
    const { session, signal } = this.#options;
    let note: unknown;
    try {
      note = JSON.parse(readFileSync(this.#notePath, "utf8"));
    } catch {
      return false; // none
    }
    if (!Value.Check(NoteShape, note) || !URL.canParse(note.url)) return false;
    const url = new URL(note.url);
    // A token goes only to the registry itself, whatever a file says.
    if (url.host !== session.base.host) return false;
    const response = await session.send({ method: "GET", url, signal });
    await response.body?.cancel();
    const received = receivedBytes(response.headers.get("range"));
    if (response.status !== 204 || received !== note.offset) return false;
    this.#url = this.#next(response, url);
    this.#offset = note.offset;
    this.#md5s = note.md5s;
    this.#partSize = note.partSize;
    this.#progress(note.offset);
    return true;
  }

  /** Starts a session. Returns whether the registry took the blob over from another repository. */
  async #begin(): Promise<boolean> {
    const { session, digest, mountFrom, signal } = this.#options;
    const query =
      mountFrom === undefined
        ? ""
        : `?from=${encodeURIComponent(mountFrom)}&mount=${encodeURIComponent(digest)}`;
    const url = `/v2/${session.repository}/blobs/uploads/${query}`;
    const headers = { "content-length": "0" };
    const response = await session.send({ method: "POST", url, headers, signal });
    if (response.status >= 400) throw await statusError(response, session.http, signal);
    await response.body?.cancel();
    if (response.status === 201) {
      this.#progress(this.#size);
      return true;
    }
    const own = response.headers.has("docker-upload-location");
    const least = Number(response.headers.get("oci-chunk-min-length") ?? 0);
    const known = Number.isSafeInteger(least) && least > 0 ? least : 0;
    this.#partSize = partSize(this.#size, own ? ownDialect : ociDialect, known);
    this.#url = this.#next(response, new URL(url, session.base));
    return false;
  }

  /** Where the upload goes on, by an answer's head. */
  #next(response: Response, from: URL): URL {
    const { headers } = response;
    const header = headers.get("docker-upload-location") || headers.get("location");
    const url = locationOf(header, from);
    const { base } = this.#options.session;
    // With `insecure`, and behind proxies that end TLS, a registry may not know its own scheme.
    if (url.host === base.host) url.protocol = base.protocol;
    return url;
  }

  #progress(sent: number): void {
    this.#sent = sent;
    this.#options.onProgress(Math.min(sent, this.#size));
  }

  /** Writes down how far the upload has come. */
  #note(): void {
    if (!this.#resumable || this.#url === undefined) return;
    const note = {
      url: this.#url.href,
      offset: this.#offset,
      md5s: this.#md5s,
      partSize: this.#partSize,
    };
    const pending = `${this.#notePath}.part`;
    writeFileSync(pending, JSON.stringify(note), { mode: 0o600 });
    renameSync(pending, this.#notePath);
  }

  /** Runs something again after failures that may pass. */
  async #retrying(run: () => Promise<void>): Promise<void> {
    const { signal, retryMs, logger, digest } = this.#options;
    for (let tries = 1; ; tries++) {
      const sent = this.#sent;
      try {
        await run();
        return;
      } catch (error) {
        this.#progress(sent);
        if (signal.aborted) throw abortReason(signal);
        if (isAbortError(error) || error instanceof ForgottenUploadError) throw error;
        logger.debug("a part of an upload failed", { digest, tries, error: errorMessage(error) });
        if (!mayRetry(error, tries)) {
          const worn = tries > 1 && error instanceof RegistryError && error.transient;
          throw worn ? retriesExceeded(error) : error;
        }
        await pause(pauseMs(error, tries, retryMs, Math.random()), signal);
      }
    }
  }

  /** The bytes of a part as a body, hashed and counted while they go. */
  #body([start, end]: Range, onDone: (md5: string) => void): ReadableStream<Uint8Array> {
    const hasher = new Bun.CryptoHasher("md5");
    const file = createReadStream(this.#options.path, {
      start,
      end: end - 1,
      highWaterMark: readSize,
    });
    const chunks = file[Symbol.asyncIterator]();
    let left = end - start;
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const { done, value } = (await chunks.next()) as IteratorResult<Buffer>;
        if (done) throw new RegistryError("a blob became shorter while it was pushed");
        hasher.update(value);
        left -= value.length;
        // Before the last bytes go: the answer may be faster than the next call of this function.
        if (left === 0) onDone(hasher.digest("hex"));
        this.#progress(this.#sent + value.length);
        controller.enqueue(value);
        if (left === 0) controller.close();
      },
      cancel: () => void file.destroy(),
    });
  }

  /** Sends one part to the registry, or to where it sends us. */
  async #part(part: Range): Promise<void> {
    const { session, signal } = this.#options;
    const [start, end] = part;
    const url = this.#url as URL;
    let md5 = "";
    const before = this.#sent;
    const response = await session.send({
      method: "PATCH",
      url,
      headers: {
        "content-type": "application/octet-stream",
        "content-length": String(end - start),
        "content-range": `${start}-${end - 1}`,
        "x-redirect-uploads": "1",
      },
      body: () => {
        this.#sent = before;
        return this.#body(part, (hash) => {
          md5 = hash;
        });
      },
      signal,
      headWithinMs: commitMs(end - start, session.http.stallMs),
    });
    if (response.status === 307) {
      await response.body?.cancel();
      const storage = locationOf(response.headers.get("location"), url);
      this.#resumable = false;
      this.#url = this.#next(withUploadLocation(response), url);
      this.#progress(before);
      this.#send(part, storage);
      return;
    }
    if (isRedirect(response.status)) {
      throw new RegistryError(`unexpected redirect (${response.status}) of an upload`);
    }
    if (response.status >= 400) throw await this.#refused(response);
    await response.body?.cancel();
    this.#url = this.#next(response, url);
    this.#md5s[this.#md5s.length] = md5;
  }

  /** A refused part: perhaps the registry has forgotten the upload, or has other bytes than we think. */
  async #refused(response: Response): Promise<RegistryError> {
    const { session, signal } = this.#options;
    const error = await statusError(response, session.http, signal);
    const line = `${response.status} ${response.statusText}`.trim();
    const text = error.message.replace(/^\d+: /, "");
    const message = `http status ${line}: ${text}`;
    if ([400, 404, 416].includes(response.status)) {
      rmSync(this.#notePath, { force: true });
      return new ForgottenUploadError(message);
    }
    return new RegistryError(message, {
      status: response.status,
      transient: error.transient,
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    });
  }

  /** Sends a part to a storage host, beside others, and without the token. */
  #send(part: Range, storage: URL): void {
    const { session, signal } = this.#options;
    const [start, end] = part;
    const index = this.#md5s.length;
    this.#md5s.push("");
    const put = this.#retrying(async () => {
      const response = await session.http.send({
        method: "PUT",
        url: storage,
        headers: {
          "content-type": "application/octet-stream",
          "content-length": String(end - start),
        },
        body: this.#body(part, (hash) => {
          this.#md5s[index] = hash;
        }),
        signal,
        headWithinMs: commitMs(end - start, session.http.stallMs),
      });
      if (response.status >= 300) throw await statusError(response, session.http, signal);
      await response.body?.cancel();
    })
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#puts.delete(put));
    this.#puts.add(put);
  }

  async #commit(): Promise<void> {
    const { session, digest, signal } = this.#options;
    const url = new URL(this.#url as URL);
    const query = `digest=${encodeURIComponent(digest)}&etag=${uploadTag(this.#md5s)}`;
    url.search = url.search === "" ? query : `${url.search}&${query}`;
    const response = await session.send({
      method: "PUT",
      url,
      headers: { "content-type": "application/octet-stream", "content-length": "0" },
      signal,
      headWithinMs: commitMs(this.#size, session.http.stallMs),
    });
    if (response.status >= 300) throw await statusError(response, session.http, signal);
    await response.body?.cancel();
  }
}

/** A 307 gives two addresses: `Location` is the storage host's, the registry's own has another name. */
function withUploadLocation(response: Response): Response {
  if (response.headers.has("docker-upload-location")) return response;
  throw new RegistryError("a redirected upload gives no Docker-Upload-Location to go on with");
}
