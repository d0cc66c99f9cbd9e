/** Takes HOST apart (env.md 4): where a server listens and which URL a client contacts. */
import { isIPv6 } from "node:net";

export interface HostAddress {
  readonly scheme: "http" | "https";
  /** Without brackets; "0.0.0.0" stands for all interfaces. */
  readonly host: string;
  readonly port: number;
  /** Path prefix for clients, without a slash at its end; servers ignore it. */
  readonly path: string;
  /** Set when the port was unusable and the default was taken. */
  readonly warning?: string;
}

/** Resolves a cleaned HOST text; every text has a result, as in Ollama. */
export function parseHost(text: string): HostAddress {
  const split = text.indexOf("://");
  const scheme = split >= 0 && text.slice(0, split) === "https" ? "https" : "http";
  const hasScheme = split >= 0;
  const rest = hasScheme ? text.slice(split + 3) : text;
  const slash = rest.indexOf("/");
  const authority = slash >= 0 ? rest.slice(0, slash) : rest;
  const path = slash >= 0 ? rest.slice(slash).replace(/\/+$/, "") : "";
  const fallbackPort = !hasScheme ? 11434 : scheme === "https" ? 443 : 80;
  const [host, portText] = splitPort(authority);
  const base = {
    scheme,
    host: host === "" ? (authority === "" ? "127.0.0.1" : "0.0.0.0") : host,
    path,
  } as const;
  if (portText === undefined) return { ...base, port: fallbackPort };
  const port = /^\d+$/.test(portText) ? Number(portText) : Number.NaN;
  if (port >= 0 && port <= 65535) return { ...base, port };
  return {
    ...base,
    port: fallbackPort,
    warning: `invalid port, using default: "${portText}", default ${fallbackPort}`,
  };
}

function splitPort(authority: string): [host: string, port: string | undefined] {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(authority);
  if (bracketed) {
    const host = bracketed[1] ?? "";
    return [host === "::" ? "0.0.0.0" : host, bracketed[2]];
  }
  if (isIPv6(authority)) return [authority === "::" ? "0.0.0.0" : authority, undefined];
  const colon = authority.lastIndexOf(":");
  if (colon < 0) return [authority, undefined];
  return [authority.slice(0, colon), authority.slice(colon + 1)];
}

/** The base URL for a client, without a slash at its end. */
export function hostUrl(address: HostAddress): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${address.scheme}://${host}:${address.port}${address.path}`;
}
