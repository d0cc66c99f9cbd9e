/**
 * Which proxy a request goes through (env.md 3): `HTTPS_PROXY` and `HTTP_PROXY` by the target's scheme,
 * `NO_PROXY` excepts hosts; this machine is never reached through one.
 */

/** The variables as given, in either case of their names. */
export interface ProxySettings {
  readonly http: string | undefined;
  readonly https: string | undefined;
  /** Hosts, domains (`.example.com` or `example.com`), addresses, `host:port`, or `*`. */
  readonly except: readonly string[];
}

/** Whether a host name or address means this machine. */
function isThisMachine(host: string): boolean {
  return (
    host === "localhost" || host.endsWith(".localhost") || host === "::1" || /^127\./.test(host)
  );
}

/** Whether one entry of NO_PROXY covers a host. */
function covers(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  const [, name = entry, onlyPort] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  if (onlyPort !== undefined && onlyPort !== port && !entry.includes("]")) return false;
  const domain = name
    .replace(/^\*?\./, "")
    .replace(/^\[|\]$/g, "")
    .toLowerCase();
  return host === domain || host.endsWith(`.${domain}`);
}

/** The proxy's URL for a target; undefined for a direct connection. */
export function proxyFor(url: URL, settings: ProxySettings): string | undefined {
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  if (isThisMachine(host)) return undefined;
  if (settings.except.some((entry) => covers(entry, host, port))) return undefined;
  const proxy = url.protocol === "https:" ? settings.https : settings.http;
  if (proxy === undefined) return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}
