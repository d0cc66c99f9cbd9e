/** The host guard against DNS rebinding, while listening on a loopback address (api.md 1.5). */
import { BlockList, isIP, isIPv6 } from "node:net";
import { hostname, networkInterfaces } from "node:os";

const local = new BlockList();
local.addSubnet("127.0.0.0", 8, "ipv4");
local.addSubnet("10.0.0.0", 8, "ipv4");
local.addSubnet("172.16.0.0", 12, "ipv4");
local.addSubnet("192.168.0.0", 16, "ipv4");
local.addAddress("0.0.0.0", "ipv4");
local.addAddress("::1", "ipv6");
local.addAddress("::", "ipv6");
local.addSubnet("fc00::", 7, "ipv6");

/** Whether an address is loopback, so that only this machine can connect. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}

function isOwnAddress(address: string): boolean {
  return Object.values(networkInterfaces()).some((list) =>
    list?.some((own) => own.address === address),
  );
}

function isAllowedName(name: string): boolean {
  const plain = name.toLowerCase();
  return (
    plain === "" ||
    plain === "localhost" ||
    plain === hostname().toLowerCase() ||
    [".localhost", ".local", ".internal"].some((end) => plain.endsWith(end))
  );
}

/** Host without port and brackets. */
function hostOf(header: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(header)?.[1];
  if (bracketed !== undefined) return bracketed;
  return isIPv6(header) ? header : header.replace(/:[^:]*$/, "");
}

/** The last header that named a private address: whatever this machine is called, it is allowed. */
let lastPrivate: string | undefined;

/**
 * A refusal (403, empty), the short answer to OPTIONS under an accepted name, or undefined when the
 * request goes on.
 */
export function checkHost(request: Request): Response | undefined {
  const header = request.headers.get("host") ?? "";
  if (header === lastPrivate) return undefined;
  const host = hostOf(header);
  const version = isIP(host);
  if (version !== 0) {
    if (local.check(host, version === 6 ? "ipv6" : "ipv4")) lastPrivate = header;
    else if (!isOwnAddress(host)) return new Response(null, { status: 403 });
    return undefined;
  }
  if (!isAllowedName(host)) return new Response(null, { status: 403 });
  return request.method === "OPTIONS" ? new Response(null, { status: 204 }) : undefined;
}
