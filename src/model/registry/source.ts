/**
 * Where the bytes of a blob come from: the registry itself, or the storage host that it redirects to,
 * which never sees the token (registry.md 4). Signed addresses die; then the registry is asked again.
 */
import { RegistryError } from "../../errors.ts";
import type { Digest } from "../digest.ts";
import { isRedirect, locationOf, mostRedirects, sameOrigin } from "./address.ts";
import type { Range } from "./ranges.ts";
import type { RemoteBlob } from "./remote-manifest.ts";
import { type RegistrySession, statusError } from "./session.ts";

/** Bytes of a blob on their way. */
export interface BlobBody {
  /** Where in the blob the body begins. */
  readonly offset: number;
  /** Where in the blob it ends: a server may send less than was asked for. */
  readonly end: number;
  /** Whether the server sends the whole blob, although a part was asked for. */
  readonly whole: boolean;
  readonly body: ReadableStream<Uint8Array>;
}

/** Statuses of a storage host that mean that the address has expired. */
const expiredStatuses = [400, 401, 403, 404, 410];

export class BlobSource {
  readonly #session: RegistrySession;
  readonly #digest: Digest;
  readonly #size: number;
  readonly #path: string;
  /** The address on another host that the registry last led to. */
  #direct: URL | undefined;

  constructor(session: RegistrySession, blob: RemoteBlob) {
    this.#session = session;
    this.#digest = blob.digest;
    this.#size = blob.size;
    this.#path = blob.path ?? session.blobPath(blob.digest);
  }

  /**
   * Asks for `[start, end)`.
   * @throws RegistryError; transient when another try may help
   */
  async open([start, end]: Range, signal: AbortSignal): Promise<BlobBody> {
    const headers = { range: `bytes=${start}-${end - 1}` };
    const asked = this.#direct;
    const response = await this.#request(headers, signal);
    const expired = asked !== undefined || this.#direct !== undefined;
    if (expired && expiredStatuses.includes(response.status)) {
      this.#direct = undefined;
      const error = await statusError(response, this.#session.http, signal);
      const message = `the address of ${this.#digest} has expired: ${error.message}`;
      throw new RegistryError(message, { status: response.status, transient: true, cause: error });
    }
    if (response.status !== 200 && response.status !== 206) {
      throw await this.#unexpected(response, signal);
    }
    return this.#checked(response, start);
  }

  /** Sends the request to the known address, or finds one by asking the registry. */
  async #request(headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    const { http, base } = this.#session;
    let url = this.#direct ?? new URL(this.#path, base);
    let left = this.#direct !== undefined;
    for (let hops = 0; ; hops++) {
      const response = left
        ? await http.send({ method: "GET", url, headers, signal })
        : await this.#session.send({ method: "GET", url, headers, signal });
      if (!isRedirect(response.status)) return response;
      if (hops === mostRedirects) {
        throw new RegistryError(
          `maximum redirects exceeded (${mostRedirects}) for ${this.#digest}`,
        );
      }
      await response.body?.cancel();
      url = locationOf(response.headers.get("location"), url);
      if (!left && !sameOrigin(url, this.#session.base)) {
        // Out of the registry's hands: from here on without the token, even if a later hop leads back.
        left = true;
        this.#direct = url;
      }
    }
  }

  async #unexpected(response: Response, signal: AbortSignal): Promise<RegistryError> {
    if (response.status >= 400) return statusError(response, this.#session.http, signal);
    await response.body?.cancel();
    return new RegistryError(`unexpected status code ${response.status} for ${this.#digest}`);
  }

  /** A good answer's body, when its head agrees with what the manifest says. */
  async #checked(response: Response, start: number): Promise<BlobBody> {
    const { body } = response;
    const refuse = async (reason: string, transient = false) => {
      await body?.cancel();
      return new RegistryError(`${this.#digest}: ${reason}`, { transient });
    };
    const encoding = response.headers.get("content-encoding") ?? "identity";
    if (encoding !== "identity") throw await refuse(`the answer is encoded as ${encoding}`);
    if (body === null) throw await refuse("the answer has no body", true);
    if (response.status === 200) {
      const length = response.headers.get("content-length");
      if (length !== null && Number(length) !== this.#size) {
        throw await refuse(`the registry has ${length} bytes, the manifest says ${this.#size}`);
      }
      return { offset: 0, end: this.#size, whole: true, body };
    }
    const range = response.headers.get("content-range") ?? "";
    const [, from, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range) ?? [];
    if (from === undefined || total === undefined) {
      throw await refuse(`the answer has no usable Content-Range (${JSON.stringify(range)})`, true);
    }
    if (Number(from) !== start) {
      throw await refuse(`asked for bytes from ${start}, got them from ${from}`, true);
    }
    if (Number(last) < start) throw await refuse(`the answer has no bytes (${range})`, true);
    if (total !== "*" && Number(total) !== this.#size) {
      throw await refuse(`the registry has ${total} bytes, the manifest says ${this.#size}`);
    }
    return { offset: start, end: Number(last) + 1, whole: false, body };
  }

  /**
   * A blob's size where the manifest does not give it.
   * @throws RegistryError when the registry does not give it either
   */
  static async sizeOf(
    session: RegistrySession,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<number> {
    const response = await session.fetch({ method: "HEAD", url: session.blobPath(digest), signal });
    const length = Number(response.headers.get("content-length") ?? 0);
    if (!Number.isSafeInteger(length) || length <= 0) {
      throw new RegistryError(`${digest}: the registry gives no size`);
    }
    return length;
  }
}
