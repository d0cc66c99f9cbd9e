/**
 * A conversation with one registry about one repository: address, token, redirects, and what its
 * statuses mean (registry.md 2). A token stays with the host that it was given for.
 */
import { randomBytes } from "node:crypto";
import { type Static, Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { RegistryError } from "../../errors.ts";
import type { ModelName } from "../name.ts";
import {
  type Base,
  isRedirect,
  locationOf,
  mostRedirects,
  registryBases,
  repositoryOf,
  sameOrigin,
} from "./address.ts";
import { parseChallenge, tokenAuthorization, tokenUrl } from "./challenge.ts";
import {
  abortReason,
  type Exchange,
  type Http,
  type Method,
  readBody,
  StalledError,
} from "./exchange.ts";
import type { SigningKey } from "./key.ts";
import { isTransientStatus, retryAfterMs } from "./retry.ts";

/** Most bytes of a stranger's error text that are passed on. */
const longestErrorText = 2000;

const TokenShape = t.Object({
  token: t.Optional(t.String()),
  access_token: t.Optional(t.String()),
});
type TokenShape = Static<typeof TokenShape>;

export interface SessionOptions {
  readonly name: ModelName;
  /** See `registryBases`. */
  readonly insecure: boolean;
  readonly http: Http;
  /** Called when a registry asks who we are. @throws RegistryError */
  readonly key: () => SigningKey;
}

/** A request of a session; the URL is a path below the registry, or absolute. */
export interface SessionRequest {
  readonly method: Method;
  readonly url: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew for every try, because a stream can be sent once. */
  readonly body?: () => NonNullable<Exchange["body"]>;
  readonly signal: AbortSignal;
  readonly headWithinMs?: number;
}

/** An error status as an error: `file does not exist` for 404, else `<code>: <text>`. */
export async function statusError(
  response: Response,
  http: Http,
  signal: AbortSignal,
): Promise<RegistryError> {
  const { status } = response;
  const after = retryAfterMs(response.headers.get("retry-after"), Date.now());
  const options = {
    status,
    transient: isTransientStatus(status),
    ...(after === undefined ? {} : { retryAfterMs: after }),
  };
  if (status === 404) {
    await response.body?.cancel();
    return new RegistryError("file does not exist", options);
  }
  let text = "";
  try {
    const what = `read the answer with status ${status}`;
    const limits = { limit: longestErrorText, cut: true, stallMs: http.stallMs };
    text = printable(
      new TextDecoder().decode(await readBody(response, { ...limits, what, signal })),
    );
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    text = error.message;
  }
  return new RegistryError(text === "" ? `${status}` : `${status}: ${text}`, options);
}

/** A stranger's text without control characters, which terminals would obey. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "").trim();
}

export class RegistrySession {
  /** `namespace/model` */
  readonly repository: string;
  readonly http: Http;
  readonly #key: () => SigningKey;
  /** Addresses still in question; one, once an answer came. */
  #bases: readonly Base[];
  #token: string | undefined;
  #refreshing: Promise<void> | undefined;

  /** @throws RegistryError when the name asks for plain http without `insecure` */
  constructor(options: SessionOptions) {
    this.repository = repositoryOf(options.name);
    this.http = {
      stallMs: options.http.stallMs,
      send: (exchange) => this.#send(exchange, options),
    };
    this.#key = options.key;
    this.#bases = registryBases(options.name, options.insecure);
  }

  /** The registry's address. */
  get base(): URL {
    return (this.#bases[0] as Base).url;
  }

  /** Only the registry itself may have any certificate; storage and token servers may not. */
  #send(exchange: Exchange, { http }: SessionOptions): Promise<Response> {
    const own = sameOrigin(exchange.url, this.base) && this.#bases[0]?.verified === false;
    return http.send(own ? { ...exchange, unverified: true } : exchange);
  }

  /** Address of a blob. */
  blobPath(digest: string): string {
    return `/v2/${this.repository}/blobs/${digest}`;
  }

  manifestPath(tag: string): string {
    return `/v2/${this.repository}/manifests/${tag}`;
  }

  /**
   * Sends a request, with a token where the registry wants one. Redirects and error statuses are the
   * caller's; 401 is not.
   * @throws RegistryError
   */
  async send(request: SessionRequest): Promise<Response> {
    const used = this.#token;
    const response = await this.#reach(request);
    if (response.status !== 401) return response;
    await response.body?.cancel();
    const refused = new URL(request.url, this.base);
    const header = response.headers.get("www-authenticate");
    await this.#refresh(header, refused, used, request.signal);
    const second = await this.#reach(request);
    if (second.status !== 401) return second;
    await second.body?.cancel();
    throw new RegistryError("unauthorized: access denied", { status: 401 });
  }

  /**
   * Like `send`, for GET and HEAD: follows redirects, without the token once they leave the registry.
   * @throws RegistryError also for every status from 400 on
   */
  async fetch(request: SessionRequest): Promise<Response> {
    let response = await this.send(request);
    let url = new URL(request.url, this.base);
    for (let hops = 0; isRedirect(response.status); hops++) {
      if (hops === mostRedirects) throw new RegistryError("stopped after 10 redirects");
      await response.body?.cancel();
      url = locationOf(response.headers.get("location"), url);
      response = sameOrigin(url, this.base)
        ? await this.send({ ...request, url })
        : await this.http.send(withoutBody(request, url));
    }
    if (response.status >= 400) throw await statusError(response, this.http, request.signal);
    return response;
  }

  /** One exchange; while the scheme is in question, a failure on the network tries the next. */
  async #reach(request: SessionRequest): Promise<Response> {
    const url = new URL(request.url, this.base);
    try {
      const response = await this.#exchange(request, url);
      if (this.#bases.length > 1 && (await speaksTls(response))) {
        throw new RegistryError("the registry speaks https");
      }
      this.#bases = this.#bases.slice(0, 1);
      return response;
    } catch (error) {
      const [, next] = this.#bases;
      if (next === undefined || request.signal.aborted || !(error instanceof RegistryError)) {
        throw error;
      }
      if (!next.verified && !mayBeTls(error)) throw error;
      return this.#reachLast(request, next, error);
    }
  }

  /** @param first why the other address did not answer; told when this one does not either */
  async #reachLast(request: SessionRequest, base: Base, first: RegistryError): Promise<Response> {
    const bases = this.#bases;
    this.#bases = [base];
    try {
      return await this.#exchange(request, new URL(request.url, base.url));
    } catch (error) {
      if (request.signal.aborted) throw error;
      this.#bases = bases;
      throw base.verified ? error : first;
    }
  }

  #exchange(request: SessionRequest, url: URL): Promise<Response> {
    const own = sameOrigin(url, this.base);
    const token =
      own && this.#token !== undefined ? { authorization: `Bearer ${this.#token}` } : {};
    return this.http.send({
      method: request.method,
      url,
      headers: { ...request.headers, ...token },
      ...(request.body === undefined ? {} : { body: request.body() }),
      signal: request.signal,
      ...(request.headWithinMs === undefined ? {} : { headWithinMs: request.headWithinMs }),
    });
  }

  /** Gets a new token, once for all requests that were refused with the same one. */
  async #refresh(
    header: string | null,
    refused: URL,
    used: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#refreshing !== undefined) return this.#refreshing;
    if (this.#token !== used) return;
    this.#refreshing = this.#requestToken(header, refused, signal).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #requestToken(header: string | null, refused: URL, signal: AbortSignal): Promise<void> {
    const nonce = randomBytes(16).toString("base64url");
    const url = tokenUrl(parseChallenge(header), refused, Date.now(), nonce);
    const signed = { authorization: tokenAuthorization(url, this.#key()) };
    let response = await this.http.send({ method: "GET", url, headers: signed, signal });
    if ([400, 401, 403].includes(response.status)) {
      const error = await statusError(response, this.http, signal);
      // Registries that know no signatures give tokens for public models without one.
      response = await this.http.send({ method: "GET", url, signal });
      if (response.status !== 200) {
        await response.body?.cancel();
        throw error;
      }
    }
    if (response.status !== 200) throw await statusError(response, this.http, signal);
    this.#token = await readToken(response, this.http, signal);
  }
}

/** What Go's servers and nginx answer to plain http on a port for https. Reads the body of such an answer only. */
async function speaksTls(response: Response): Promise<boolean> {
  if (response.status !== 400) return false;
  const text = await response.clone().text();
  return /Client sent an HTTP request to an HTTPS server|plain HTTP request was sent to HTTPS port/.test(
    text,
  );
}

/** Whether somebody was there who did not speak plain http. */
function mayBeTls(error: RegistryError): boolean {
  const code = (error.cause as { code?: unknown } | undefined)?.code;
  const nobody = ["ECONNREFUSED", "ConnectionRefused", "ENOTFOUND", "ETIMEDOUT"];
  return !(error instanceof StalledError) && !nobody.includes(String(code));
}

function withoutBody({ body: _, ...request }: SessionRequest, url: URL): Exchange {
  return { ...request, url };
}

async function readToken(response: Response, http: Http, signal: AbortSignal): Promise<string> {
  const what = "read token";
  const bytes = await readBody(response, { limit: 2 ** 20, stallMs: http.stallMs, what, signal });
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new RegistryError("read token: not valid JSON", { cause });
  }
  const answer: TokenShape | undefined = Value.Check(TokenShape, json) ? json : undefined;
  const token = answer?.token || answer?.access_token || "";
  if (!/^[\x21-\x7e]+$/.test(token)) throw new RegistryError("read token: the answer holds none");
  if (signal.aborted) throw abortReason(signal);
  return token;
}
