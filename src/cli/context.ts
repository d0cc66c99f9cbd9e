/** What every command gets: streams, configuration, and a client that is made when it is needed. */
import type { Config } from "../config/env.ts";
import type { Client } from "./client.ts";

export interface ClientOptions {
  /** Whether the command can work without a server. */
  readonly daemonless: boolean;
  /** Address from the command line; HOST where it is undefined. */
  readonly server?: string | undefined;
  /** Never look for a server. */
  readonly never?: boolean;
  /** Gives up looking for a server. */
  readonly signal?: AbortSignal | undefined;
}

export interface Context extends AsyncDisposable {
  readonly config: Config;
  /** Data; nothing else goes to stdout. */
  out(text: string): void;
  /** Progress, warnings, errors. */
  note(text: string): void;
  readonly stdinIsTerminal: boolean;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** Size of the terminal now; 80 by 24 where there is none. */
  columns(): number;
  rows(): number;
  /**
   * A client of the running server; without one, of the same application in this process, when the
   * command can work so.
   * @throws ConnectionError
   */
  client(options: ClientOptions): Promise<Client>;
}
