/**
 * One HTTP exchange with a registry, a token server or a storage host: the only place of the registry
 * client that touches the network. Redirects are never followed here, because what may be sent along
 * depends on where they lead; nothing is decompressed, so that a small answer cannot become a big one.
 */
import { type ProxySettings, proxyFor } from "../../config/proxy.ts";
import { errorMessage, isAbortError, RegistryError } from "../../errors.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH";

export interface Exchange {
  readonly method: Method;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: ReadableStream<Uint8Array> | Uint8Array | string;
  readonly signal: AbortSignal;
  /** Longest wait for the head of the answer, milliseconds, when it is not the usual one. */
  readonly headWithinMs?: number;
  /** Takes any certificate. */
  readonly unverified?: boolean;
}

/** Sends a request. Rejects with a transient RegistryError when the network fails. */
export interface Http {
  send(exchange: Exchange): Promise<Response>;
  /** Longest silence before a request is given up, milliseconds. */
  readonly stallMs: number;
}

/** A peer that went silent. */
export class StalledError extends RegistryError {
  constructor(message: string) {
    super(message, { transient: true });
  }
}

/** What went wrong, in the words that people search for. */
function networkReason(error: unknown, url: URL): string {
  const code = (error as { code?: unknown }).code;
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const target = `dial tcp ${url.hostname}:${port}: connect`;
  switch (code) {
    case "ECONNREFUSED":
    case "ConnectionRefused":
      return `${target}: connection refused`;
    case "ENOTFOUND":
      return `dial tcp: lookup ${url.hostname}: no such host`;
    case "ECONNRESET":
      return "connection reset by peer";
    case "ETIMEDOUT":
      return `${target}: connection timed out`;
    case "EPROTO":
      return "http: server gave HTTP response to HTTPS client";
    default:
      return certificateReason(code) ?? errorMessage(error);
  }
}

const unknownAuthority =
  "certificate signed by unknown authority (name the authority's file in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS where the server runs)";

/** Codes of OpenSSL and BoringSSL for certificates, in Go's words. */
const certificateReasons: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  CERT_HAS_EXPIRED: "certificate has expired or is not yet valid",
  CERT_NOT_YET_VALID: "certificate has expired or is not yet valid",
  ERR_TLS_CERT_ALTNAME_INVALID: "certificate is valid for other names than this one",
};

/** Undefined when the error is no refusal of a certificate. */
function certificateReason(code: unknown): string | undefined {
  const reason = typeof code === "string" ? certificateReasons[code] : undefined;
  return reason && `tls: failed to verify certificate: x509: ${reason}`;
}

/** `Get "http://…": reason`, as Go's client words it. */
function networkError(method: Method, url: URL, error: unknown): RegistryError {
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  const text = `${verb} "${url.href}": ${networkReason(error, url)}`;
  // Certificates do not get better by trying again.
  const refused = certificateReason((error as { code?: unknown }).code) !== undefined;
  return new RegistryError(text, { cause: error, transient: !refused });
}

/** Runs something under a time limit that is its own error, not the caller's abort. */
export async function within<T>(
  ms: number,
  signal: AbortSignal,
  limit: () => Error,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const leave = () => controller.abort(signal.reason);
  if (signal.aborted) leave();
  else signal.addEventListener("abort", leave, { once: true });
  const timer = setTimeout(() => controller.abort(limit()), ms);
  try {
    return await run(controller.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
  }
}

/** @param userAgent sent with every request; public registries read a version in it (registry.md 1) */
export function createHttp(options: {
  proxies: ProxySettings;
  userAgent: string;
  stallMs: number;
}): Http {
  const { proxies, userAgent, stallMs } = options;
  return {
    stallMs,
    async send({
      method,
      url,
      headers = {},
      body,
      signal,
      headWithinMs = stallMs,
      unverified = false,
    }) {
      signal.throwIfAborted();
      const controller = new AbortController();
      const leave = () => controller.abort(signal.reason);
      // Stays after this call: the body is part of the exchange.
      signal.addEventListener("abort", leave, { once: true });
      const silence = new StalledError(
        `${method} "${url.href}": no answer within ${headWithinMs / 1000} s`,
      );
      const timer = setTimeout(() => controller.abort(silence), headWithinMs);
      try {
        const init: BunFetchRequestInit & { timeout: false } = {
          method,
          headers: { "user-agent": userAgent, "accept-encoding": "identity", ...headers },
          ...(body === undefined ? {} : { body }),
          signal: controller.signal,
          redirect: "manual",
          decompress: false,
          proxy: proxyFor(url, proxies) ?? "",
          ...(unverified ? { tls: { rejectUnauthorized: false } } : {}),
          // Bun's own limit of five minutes would end long bodies; silence is watched by the readers.
          timeout: false,
        };
        return await fetch(url.href, init);
      } catch (error) {
        if (signal.aborted) throw abortReason(signal);
        if (error instanceof RegistryError) throw error;
        throw networkError(method, url, error);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** The error with which an aborted signal ends what it was given to. */
export function abortReason(signal: AbortSignal): Error {
  const { reason } = signal;
  if (reason instanceof Error && (isAbortError(reason) || reason instanceof RegistryError)) {
    return reason;
  }
  return new DOMException("The transfer was cancelled", "AbortError");
}

/** Reads a body whole. @throws RegistryError when it is larger than `limit` bytes, encoded, or stalls */
export async function readBody(
  response: Response,
  options: { limit: number; stallMs: number; what: string; cut?: boolean; signal: AbortSignal },
): Promise<Uint8Array> {
  const { limit, stallMs, what, cut = false, signal } = options;
  const encoding = response.headers.get("content-encoding");
  if (encoding !== null && encoding !== "" && encoding !== "identity") {
    await response.body?.cancel();
    throw new RegistryError(`${what}: the answer is encoded as ${JSON.stringify(encoding)}`);
  }
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (reader === undefined) return new Uint8Array();
  try {
    for (;;) {
      const stalled = () => new StalledError(`${what}: no data for ${stallMs / 1000} s`);
      const { done, value } = await within(stallMs, signal, stalled, (inner) =>
        Promise.race([reader.read(), rejectsOn(inner)]),
      );
      if (done) break;
      size += value.length;
      chunks.push(value);
      if (size > limit && cut) break;
      if (size > limit) throw new RegistryError(`${what}: larger than ${limit} bytes`);
    }
  } catch (error) {
    if (signal.aborted) throw abortReason(signal);
    if (error instanceof RegistryError) throw error;
    throw new RegistryError(`${what}: ${errorMessage(error)}`, { cause: error, transient: true });
  } finally {
    reader.cancel().catch(() => {}); // what is left of a body that is of no use any more
  }
  return Buffer.concat(chunks).subarray(0, limit);
}

function rejectsOn(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
