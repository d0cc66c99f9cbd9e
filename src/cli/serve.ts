/** `hutch serve`: the server in the foreground (cli.md 9). */
import { availableParallelism, totalmem } from "node:os";
import { parseHost } from "../config/host.ts";
import { createLogger } from "../logger.ts";
import { humanBytesBinary } from "../model/human.ts";
import { listen } from "../server/listen.ts";
import { isLoopback } from "../server/plugins/hosts.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { createLocal } from "./local.ts";

/** Resolves when somebody asks the server to end; a second signal ends it at once. */
function whenAsked(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}

export async function serve(context: Context): Promise<number> {
  const { config } = context;
  const logger = createLogger(config.logLevel, "server");
  for (const warning of config.warnings) logger.warn(warning);
  const address = parseHost(config.host);
  if (address.warning !== undefined) logger.warn(address.warning);
  await using local = createLocal(config, logger, { guardHosts: isLoopback(address.host) });
  const listener = listen(local.app, address);
  const asked = whenAsked();
  const { blobs, removed } = local.deps.store.prune();
  logger.info(`total blobs: ${blobs}`);
  logger.info(`total unused blobs removed: ${removed}`);
  const shown = listener.host.includes(":") ? `[${listener.host}]` : listener.host;
  logger.info(`Listening on ${shown}:${listener.port} (version ${config.reportedVersion})`);
  logger.info("inference compute", {
    id: "cpu",
    library: "cpu",
    threads: availableParallelism(),
    total: humanBytesBinary(totalmem()),
  });
  await asked;
  logger.info("shutting down");
  await listener.stop();
  return exitCodes.ok;
}
