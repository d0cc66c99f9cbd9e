/** Binds the application to a TCP address. */
import type { Server } from "bun";
import type { HostAddress } from "../config/host.ts";
import { ConfigError, errorMessage } from "../errors.ts";
import type { App } from "./app.ts";

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Settles when no request is being answered, or after so many milliseconds. True: all ended. */
  quiet(milliseconds: number): Promise<boolean>;
  /** Drops all connections and stops listening. */
  stop(): Promise<void>;
}

/** Reasons in Go's words, which scripts look for (cli.md 8). */
const bindReasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  EACCES: "permission denied",
};

/** How often the number of running requests is looked at while the server ends. */
const drainPollMs = 20;

async function quiet(pending: () => number, milliseconds: number): Promise<boolean> {
  const end = performance.now() + milliseconds;
  while (pending() > 0) {
    if (performance.now() >= end) return false;
    await Bun.sleep(drainPollMs);
  }
  return true;
}

/** @throws ConfigError (`listen tcp 127.0.0.1:11434: bind: address already in use`) */
export function listen(app: App, address: HostAddress): Listener {
  const { host, port } = address;
  let server: Server<unknown>;
  try {
    server = Bun.serve({
      hostname: host,
      port,
      development: false,
      // Without it two servers outside development share a port (Bun 1.4.5).
      reusePort: false,
      // A model may take minutes to load, and blobs have any size (api.md 13, 17).
      idleTimeout: 0,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: (request, own) => app.handle(request, own.requestIP(request)?.address),
      error: (error) =>
        new Response(JSON.stringify({ error: errorMessage(error) }), {
          status: 500,
          headers: { "content-type": "application/json; charset=utf-8" },
        }),
    });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const reason = bindReasons[code ?? ""] ?? errorMessage(cause);
    const shown = host.includes(":") ? `[${host}]` : host;
    throw new ConfigError(`listen tcp ${shown}:${port}: bind: ${reason}`, { cause });
  }
  return {
    host,
    port: server.port ?? port,
    quiet: (milliseconds) => quiet(() => server.pendingRequests, milliseconds),
    stop: () => server.stop(true),
  };
}
