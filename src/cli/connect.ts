/** Finds the server that a command talks to, or works without one (cli.md 2). */
import type { Config } from "../config/env.ts";
import { hostUrl, parseHost } from "../config/host.ts";
import { ConnectionError, UsageError } from "../errors.ts";
import { silentLogger } from "../logger.ts";
import { isLoopback } from "../server/plugins/hosts.ts";
import { Client } from "./client.ts";
import type { ClientOptions } from "./context.ts";
import type { Local } from "./local.ts";

export interface Connection extends AsyncDisposable {
  readonly client: Client;
}

const unreachable = "could not connect to hutch server, run 'hutch serve' to start it";

function isRefused(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? "";
  return ["ECONNREFUSED", "ConnectionRefused", "FailedToOpenSocket", "ENOTFOUND"].includes(code);
}

/** Never through a proxy when the target is this machine (env.md 3). */
export function direct(target: string | Request, init?: RequestInit): Promise<Response> {
  const { hostname } = new URL(typeof target === "string" ? target : target.url);
  const local = isLoopback(hostname.replace(/^\[|\]$/g, ""));
  // Bun 1.4.5: false is what switches the environment's proxy off; "" and null do not.
  return fetch(target, local ? ({ ...init, proxy: false } as unknown as RequestInit) : init);
}

/**
 * A server that answers is used. Without one, commands that can work so get the application in this
 * process, unless HOST names a server that they were meant for.
 * @throws ConnectionError
 */
export async function connect(config: Config, options: ClientOptions): Promise<Connection> {
  if (options.never) {
    if (options.daemonless) return inProcess(config);
    throw new UsageError("--no-server: there is nothing to ask without a server");
  }
  const base = hostUrl(parseHost(options.server ?? config.host));
  const remote = new Client(base, (request) => direct(request));
  try {
    const response = await direct(`${base}/`, {
      method: "HEAD",
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    if (response.status < 400) return { client: remote, [Symbol.asyncDispose]: async () => {} };
    throw new ConnectionError(`the server at ${base} answered ${response.status}`);
  } catch (error) {
    if (error instanceof ConnectionError) throw error;
    if (!isRefused(error)) {
      throw new ConnectionError(error instanceof Error ? error.message : String(error), {
        cause: error,
      });
    }
    if (!options.daemonless || config.hostGiven || options.server !== undefined)
      throw new ConnectionError(unreachable, { cause: error });
  }
  return inProcess(config);
}

/** The application in this process. */
async function inProcess(config: Config): Promise<Connection> {
  const { createLocal } = await import("./local.ts");
  const local: Local = createLocal(config, silentLogger, { guardHosts: false });
  return {
    client: new Client(
      "http://localhost",
      (request) => local.app.handle(request),
      async (path) => (await local.deps.store.putFile(path)).digest,
    ),
    [Symbol.asyncDispose]: () => local[Symbol.asyncDispose](),
  };
}
