/** `hutch completion SHELL` prints a script; the script asks `hutch __complete WORDS…`. */
import { UsageError } from "../../errors.ts";
import type { ParsedArguments } from "../arguments.ts";
import type { Command } from "../command.ts";
import type { Context } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { complete } from "./candidates.ts";
import { completionScripts, isShell } from "./scripts.ts";

export async function printScript(context: Context, parsed: ParsedArguments): Promise<number> {
  const [shell] = parsed.positionals;
  if (!isShell(shell)) {
    const known = Object.keys(completionScripts).join(", ");
    throw new UsageError(`completion: unknown shell "${shell}" (must be one of ${known})`);
  }
  context.out(completionScripts[shell]);
  return exitCodes.ok;
}

/** Names of the models there are; none when they cannot be asked for. */
async function modelNames(context: Context): Promise<string[]> {
  try {
    const client = await context.client({ daemonless: true });
    const { models } = await client.call("GET", "/api/tags");
    const names = Array.isArray(models) ? models.map(({ name }: { name: string }) => name) : [];
    return names.map((name) => name.replace(/:latest$/, ""));
  } catch {
    return []; // a shell that waits for Tab has no place for an error
  }
}

/** A candidate a line, with a tab and its meaning; `:files` asks the shell for names of files. */
export async function printCandidates(
  context: Context,
  table: readonly Command[],
  words: readonly string[],
): Promise<number> {
  const needed = words.length > 1 && !words.at(-1)?.startsWith("-");
  const { candidates, files } = complete(table, words, needed ? await modelNames(context) : []);
  const lines = candidates.map(({ text, meaning }) => `${text}\t${meaning}\n`);
  context.out(`${lines.join("")}${files ? ":files\n" : ""}`);
  return exitCodes.ok;
}
