/** `hutch serve`: the server in the foreground (cli.md 9). */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseHost } from "../config/host.ts";
import { totalMemory } from "../config/machine.ts";
import { errorMessage } from "../errors.ts";
import { createLogger, type Logger } from "../logger.ts";
import { humanBytesBinary } from "../model/human.ts";
import { loadKey } from "../model/registry/key.ts";
import { listen } from "../server/listen.ts";
import { isLoopback } from "../server/plugins/hosts.ts";
import { isOn, type ParsedArguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { createLocal, type Local } from "./local.ts";
import { tellReady } from "./readiness.ts";

/** Two promises: the server is asked to end, and asked again. */
function whenAsked(): { first: Promise<void>; second: Promise<void> } {
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  let asked = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (asked) second.resolve();
      else first.resolve();
      asked = true;
    });
  }
  return { first: first.promise, second: second.promise };
}

/** Milliseconds of a duration in which -1 is for ever. */
function drainMs(ns: bigint): number {
  return ns < 0n ? Number.POSITIVE_INFINITY : Number(ns) / 1e6;
}

/**
 * The key by which registries know this user is there from the first start, as with Ollama, and its
 * public half is shown once. A home that cannot be written to does not keep the server from serving.
 */
function announceKey({ config, out }: Context, logger: Logger): void {
  const path = join(config.homeFolder, "id_ed25519");
  if (existsSync(path)) return;
  try {
    const { publicKey } = loadKey(config.homeFolder, logger);
    out(`Couldn't find '${path}'. Generating new private key.\n`);
    out(`Your new public key is:\n\nssh-ed25519 ${publicKey}\n\n`);
  } catch (error) {
    logger.warn(`no key for registries: ${errorMessage(error)}`);
  }
}

/** The server's parts: the real engine, or with `--fake` one without weights. */
async function compose(
  { config }: Context,
  parsed: ParsedArguments,
  logger: Logger,
  options: { guardHosts: boolean },
): Promise<Local> {
  const real = ![...parsed.flags.keys()].some((flag) => flag.startsWith("fake"));
  if (real) return createLocal(config, logger, options);
  return (await import("./fake/serve.ts")).createFake(config, logger, parsed, options);
}

export async function serve(context: Context, parsed: ParsedArguments): Promise<number> {
  const { config } = context;
  const logger = createLogger(config.logLevel, "server", undefined, config.logFormat);
  for (const warning of config.warnings) logger.warn(warning);
  const address = parseHost(config.host);
  if (address.warning !== undefined) logger.warn(address.warning);
  const guardHosts = isLoopback(address.host);
  await using local = await compose(context, parsed, logger, { guardHosts });
  const listener = listen(local.app, address);
  const asked = whenAsked();
  const fake = isOn(parsed, "fake");
  if (fake) logger.warn("this server is fake: no model runs, every answer is made up");
  else announceKey(context, logger);
  const { blobs, removed } = local.deps.store.prune();
  logger.info(`total blobs: ${blobs}`);
  logger.info(`total unused blobs removed: ${removed}`);
  const shown = listener.host.includes(":") ? `[${listener.host}]` : listener.host;
  logger.info(`Listening on ${shown}:${listener.port} (version ${config.reportedVersion})`);
  const told = tellReady(logger);
  if (!fake) {
    logger.info("inference compute", {
      id: "cpu",
      library: "cpu",
      threads: availableParallelism(),
      total: humanBytesBinary(totalMemory()),
    });
  }
  await asked.first;
  await told;
  logger.info("shutting down");
  local.app.drain();
  const ended = await Promise.race([
    listener.quiet(drainMs(config.drainTimeoutNs)),
    asked.second.then(() => false),
  ]);
  if (!ended) logger.warn("running requests are cut off");
  await listener.stop();
  return exitCodes.ok;
}
