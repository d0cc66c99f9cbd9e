/** From words to a command: version, help, parsing, errors (cli.md 1). */
import { errorMessage, isAbortError } from "../errors.ts";
import type { ParsedArguments } from "./arguments.ts";
import type { Connection } from "./connect.ts";
import type { Context } from "./context.ts";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";

async function createContext(): Promise<Context> {
  const { readConfig } = await import("../config/env.ts");
  const config = readConfig();
  let connection: Promise<Connection> | undefined;
  return {
    config,
    out: (text) => void process.stdout.write(text),
    note: (text) => void process.stderr.write(text),
    stdinIsTerminal: process.stdin.isTTY === true,
    stdoutIsTerminal: process.stdout.isTTY === true,
    stderrIsTerminal: process.stderr.isTTY === true,
    columns: () => process.stdout.columns || process.stderr.columns || 80,
    rows: () => process.stdout.rows || process.stderr.rows || 24,
    async client(options) {
      const { connect } = await import("./connect.ts");
      connection ??= connect(config, options);
      return (await connection).client;
    },
    async [Symbol.asyncDispose]() {
      const open = await connection?.catch(() => undefined);
      await open?.[Symbol.asyncDispose]();
    },
  };
}

/** The version of a hutch server is hutch's own; another server's is what it reports. */
async function versionText(context: Context): Promise<number> {
  const { version } = await import("../version.ts");
  const { hostUrl, parseHost } = await import("../config/host.ts");
  const { direct } = await import("./connect.ts");
  // The server's version matters as well; a server that does not answer at once is not waited for.
  const base = hostUrl(parseHost(context.config.host));
  const signal = AbortSignal.timeout(1000);
  const answer = await direct(`${base}/api/version`, { signal }).catch(() => undefined);
  const body = answer?.ok ? ((await answer.json()) as { version?: string }) : undefined;
  const server = answer?.headers.get("x-hutch-version") ?? body?.version;
  if (server === undefined) context.out("Warning: could not connect to a running hutch instance\n");
  else context.out(`hutch version is ${server}\n`);
  if (server !== version) context.out(`Warning: client version is ${version}\n`);
  return exitCodes.ok;
}

async function dispatch(context: Context, argv: readonly string[]): Promise<number> {
  if (argv.length === 1 && ["--version", "-v"].includes(argv[0] ?? "")) return versionText(context);
  const { checkCount, checkRootFlags, looksOwn, parseArguments, splitCommand, unknownCommand } =
    await import("./arguments.ts");
  const { commands, findCommand } = await import("./commands.ts");
  const help = await import("./help.ts");
  const split = splitCommand(argv, commands);
  if (split === undefined) {
    checkRootFlags(argv);
    const asked = argv.some((word) => word === "--help" || word === "-h");
    if (!asked && argv.some((word) => word === "--version" || word === "-v")) {
      return versionText(context);
    }
    // The bare command has no menu here; its flags are taken all the same.
    context.out(help.rootHelp());
    return exitCodes.ok;
  }
  const { name: first, rest } = split;
  if (first === "help") {
    const command = rest[0] === undefined ? undefined : findCommand(rest[0]);
    if (rest[0] !== undefined && rest[0] !== "help" && command === undefined) {
      context.note(`Unknown help topic [\`${rest.join(" ")}\`]\n${help.rootHelp()}`);
    } else context.out(command === undefined ? help.rootHelp() : help.commandHelp(command));
    return exitCodes.ok;
  }
  if (first === "__complete") {
    return (await import("./completion/command.ts")).printCandidates(context, commands, rest);
  }
  const command = findCommand(first);
  if (command === undefined) {
    const names = commands.filter(({ hidden }) => !hidden).map(({ name }) => name);
    throw unknownCommand(first, [...names, "help"]);
  }
  try {
    const parsed = parseArguments(command, rest);
    if (parsed.help) {
      context.out(help.commandHelp(command));
      return exitCodes.ok;
    }
    checkCount(command, parsed);
    return await command.run(bound(context, parsed), parsed, commands);
  } catch (error) {
    return fail(context, error, looksOwn(command, rest));
  }
}

/** The context of a command line that may name a server. */
function bound(context: Context, parsed: ParsedArguments): Context {
  const server = parsed.flags.get("server")?.at(-1);
  const never = parsed.flags.has("no-server");
  return { ...context, client: (options) => context.client({ ...options, server, never }) };
}

/** One line for an error, and its exit code. */
function fail(context: Context, error: unknown, own: boolean): number {
  if (isAbortError(error)) return exitCodes.interrupted;
  context.note(`Error: ${errorMessage(error)}\n`);
  return exitCodeOf(error, own);
}

/** Runs a command line. Resolves with the exit code; never rejects. */
export async function runCommand(argv: readonly string[]): Promise<number> {
  const context = await createContext();
  try {
    return await dispatch(context, argv);
  } catch (error) {
    return fail(context, error, false);
  } finally {
    await context[Symbol.asyncDispose]();
  }
}
