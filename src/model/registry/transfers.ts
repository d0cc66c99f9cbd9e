/** What all transfers of a process share: network, key, running downloads. Made once, where the store is. */
import type { Config } from "../../config/env.ts";
import type { Logger } from "../../logger.ts";
import { version } from "../../version.ts";
import type { Store } from "../store.ts";
import { Downloads } from "./downloads.ts";
import { createHttp, type Http } from "./exchange.ts";
import { loadKey, type SigningKey } from "./key.ts";

export interface Transfers {
  readonly http: Http;
  /** The user's key; made when it is first asked for. */
  readonly key: () => SigningKey;
  readonly downloads: Downloads;
  /** Unit of the pauses between tries, milliseconds. */
  readonly retryMs: number;
  /** Time between two lines of progress, milliseconds. */
  readonly progressMs: number;
  readonly logger: Logger;
}

/** Processors and systems as Go calls them, which registries read. */
const goArchitectures: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" };
const goSystems: Readonly<Record<string, string>> = { win32: "windows" };

/** Public registries admit clients by the version in it (registry.md 1). */
function userAgent(reportedVersion: string): string {
  const architecture = goArchitectures[process.arch] ?? process.arch;
  const system = goSystems[process.platform] ?? process.platform;
  return `ollama/${reportedVersion} (${architecture} ${system}) hutch/${version}`;
}

/** @param pauses shorter ones, for tests */
export function createTransfers(
  store: Store,
  config: Config,
  logger: Logger,
  pauses: { retryMs: number; progressMs: number } = { retryMs: 1000, progressMs: 60 },
): Transfers {
  const own = logger.area("registry");
  let key: SigningKey | undefined;
  return {
    http: createHttp({
      proxies: config.proxies,
      userAgent: userAgent(config.reportedVersion),
      stallMs: config.transferStallMs,
    }),
    key: () => {
      key ??= loadKey(config.homeFolder, own);
      return key;
    },
    downloads: new Downloads(store, { ...pauses, logger: own }),
    ...pauses,
    logger: own,
  };
}
