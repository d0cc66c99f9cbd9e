/** Names as addresses of a registry (registry.md 1 and 8), and where its redirects may lead. Pure. */
import { RegistryError } from "../../errors.ts";
import type { ModelName } from "../name.ts";

/** Most redirects that are followed in a row. */
export const mostRedirects = 10;

/** Statuses that redirect. */
export function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

/** Where a registry may answer. */
export interface Base {
  readonly url: URL;
  /** Whether its certificate must be signed by an authority that this machine trusts. */
  readonly verified: boolean;
}

/**
 * Addresses to try, in order. `insecure` means plain http (registry.md 8), and where none answers there,
 * https with whatever certificate. Some clients send it with every pull (api.md 11), so a public name
 * without a port is tried by https first, as if it had not been said.
 * @throws RegistryError when the name says `http://` and `insecure` is not set
 */
export function registryBases(name: ModelName, insecure: boolean): Base[] {
  if (name.scheme === "http" && !insecure) throw new RegistryError("insecure protocol http");
  const base = (scheme: string, verified: boolean): Base => {
    const text = `${scheme}://${name.host}/`;
    if (!URL.canParse(text)) throw new RegistryError(`"${name.host}" is no host of a registry`);
    return { url: new URL(text), verified };
  };
  if (!insecure) return [base("https", true)];
  if (name.scheme === "http") return [base("http", true)];
  const publicName = !name.host.includes(":") && /\.[A-Za-z][A-Za-z0-9-]*$/.test(name.host);
  return publicName
    ? [base("https", true), base("http", true)]
    : [base("http", true), base("https", false)];
}

/** `namespace/model`: what a registry calls a repository. */
export function repositoryOf(name: ModelName): string {
  return `${name.namespace}/${name.model}`;
}

/**
 * Where a `Location` leads.
 * @throws RegistryError for anything but http and https
 */
export function locationOf(header: string | null, from: URL): URL {
  if (header === null || header === "") {
    throw new RegistryError(`no Location header in the answer of "${from.href}"`);
  }
  if (!URL.canParse(header, from.href)) {
    throw new RegistryError(`"${header.slice(0, 200)}" is no address to redirect to`);
  }
  const url = new URL(header, from.href);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new RegistryError(`a redirect leads to "${url.protocol}", which is not followed`);
  }
  return url;
}

/** Whether a token for one address may be sent to another: same scheme, host and port. */
export function sameOrigin(a: URL, b: URL): boolean {
  return a.origin === b.origin;
}
