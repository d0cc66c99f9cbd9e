/** What a registry asks for with 401, and the token request that answers it (registry.md 7). Pure. */
import { RegistryError } from "../../errors.ts";
import type { SigningKey } from "./key.ts";

export interface Challenge {
  readonly realm: string;
  readonly service: string;
  readonly scopes: readonly string[];
}

/** Reads a `WWW-Authenticate` header, whatever the order of its parts; what is missing is empty. */
export function parseChallenge(header: string | null): Challenge {
  const text = header ?? "";
  const part = (name: string): string => {
    const quoted = new RegExp(`(?:^|[\\s,])${name}="((?:[^"\\\\]|\\\\.)*)"`, "i").exec(text);
    if (quoted !== null) return (quoted[1] ?? "").replace(/\\(.)/g, "$1");
    return new RegExp(`(?:^|[\\s,])${name}=([^\\s",]+)`, "i").exec(text)?.[1] ?? "";
  };
  return {
    realm: part("realm"),
    service: part("service"),
    scopes: part("scope")
      .split(" ")
      .filter((scope) => scope !== ""),
  };
}

/** Percent escapes as Go writes them in queries: `%XX` for all but letters, digits and `-_.~`, `+` for space. */
function goEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}

/** A query with its keys sorted bytewise; values of one key keep their order. */
function encodeQuery(pairs: readonly (readonly [string, string])[]): string {
  const sorted = pairs
    .map(([key, value], index) => ({ key, value, index }))
    .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)) || a.index - b.index);
  return sorted.map(({ key, value }) => `${goEscape(key)}=${goEscape(value)}`).join("&");
}

/** Base64 of the hex SHA-256 of an empty body. */
const emptyBody =
  "ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ==";

/**
 * The address that a token is asked from. A signature, or anything else, goes only to the host that
 * asked for it, and not from https to http (a registry that names another realm would get tokens of
 * other registries).
 * @param refused the request that was answered with 401
 * @throws RegistryError
 */
export function tokenUrl(challenge: Challenge, refused: URL, now: number, nonce: string): URL {
  const realm = URL.canParse(challenge.realm) ? new URL(challenge.realm) : undefined;
  if (realm === undefined || realm.host !== refused.host) {
    throw new RegistryError(
      `realm host "${realm?.host ?? ""}" does not match original host "${refused.host}"`,
    );
  }
  if (realm.protocol !== refused.protocol && realm.protocol !== "https:") {
    throw new RegistryError(`realm "${realm.href}" is not as secure as "${refused.origin}"`);
  }
  const query = encodeQuery([
    ...realm.searchParams,
    ["service", challenge.service],
    ...challenge.scopes.map((scope) => ["scope", scope] as const),
    ["ts", String(Math.floor(now / 1000))],
    ["nonce", nonce],
  ]);
  realm.username = "";
  realm.password = "";
  realm.hash = "";
  realm.search = query;
  return realm;
}

/** The `Authorization` header of a token request. */
export function tokenAuthorization(url: URL, key: SigningKey): string {
  return `${key.publicKey}:${key.sign(`GET,${url.href},${emptyBody}`)}`;
}
