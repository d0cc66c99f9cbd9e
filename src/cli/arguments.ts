/** The command line taken apart, with the texts that Ollama's users know (cli.md 1). */
import { parseArgs } from "node:util";
import { UsageError } from "../errors.ts";
import type { Command } from "./commands.ts";

export interface ParsedArguments {
  readonly positionals: readonly string[];
  /** Values by flag name; "" for a bare bool flag. */
  readonly flags: ReadonlyMap<string, string>;
  readonly help: boolean;
}

/** Words that Go's flag parser takes for true and false. */
const booleans = new Set([
  "1",
  "t",
  "T",
  "true",
  "TRUE",
  "True",
  "0",
  "f",
  "F",
  "false",
  "FALSE",
  "False",
]);

export function isOn(parsed: ParsedArguments, name: string): boolean {
  const value = parsed.flags.get(name);
  return value !== undefined && !["0", "f", "F", "false", "FALSE", "False"].includes(value);
}

/**
 * Flags may stand before, between or after positionals; `--` ends them.
 * @throws UsageError
 */
export function parseArguments(command: Command, argv: readonly string[]): ParsedArguments {
  const flags = new Map<string, string>();
  const positionals: string[] = [];
  let help = false;
  // Only the tokeniser of the parser is used: which flag takes a value, and in which words a mistake
  // is reported, is decided below.
  const options = Object.fromEntries(
    command.flags.map((flag) => [
      flag.name,
      {
        type: flag.kind === "bool" || flag.bare !== undefined ? "boolean" : "string",
        ...(flag.short === undefined ? {} : { short: flag.short }),
      } as const,
    ]),
  );
  const { tokens } = parseArgs({
    args: [...argv],
    options: { ...options, help: { type: "boolean", short: "h" } },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    if (token.name === "help") {
      help = true;
      continue;
    }
    const flag = command.flags.find(({ name }) => name === token.name);
    if (flag === undefined) {
      const short = !token.rawName.startsWith("--");
      throw new UsageError(
        short
          ? `unknown shorthand flag: '${token.name}' in ${token.rawName}`
          : `unknown flag: --${token.name}`,
      );
    }
    flags.set(flag.name, flagValue(flag, token.value, token.rawName));
  }
  return { positionals, flags, help };
}

/** A flag as errors name it. */
function spelled(flag: Command["flags"][number]): string {
  return flag.short === undefined ? `--${flag.name}` : `-${flag.short}, --${flag.name}`;
}

function flagValue(flag: Command["flags"][number], value: string | undefined, raw: string): string {
  if (flag.bare !== undefined) return value ?? flag.bare;
  if (flag.kind === "bool") {
    if (value !== undefined && !booleans.has(value)) {
      throw new UsageError(
        `invalid argument "${value}" for "${spelled(flag)}" flag: strconv.ParseBool: parsing "${value}": invalid syntax`,
      );
    }
    return value ?? "true";
  }
  if (value === undefined) {
    throw new UsageError(
      raw.startsWith("--")
        ? `flag needs an argument: --${flag.name}`
        : `flag needs an argument: '${flag.short}' in ${raw}`,
    );
  }
  if (flag.kind === "int" && !/^[+-]?\d+$/.test(value)) {
    throw new UsageError(
      `invalid argument "${value}" for "${spelled(flag)}" flag: strconv.ParseInt: parsing "${value}": invalid syntax`,
    );
  }
  return value;
}

/** @throws UsageError in cobra's words */
export function checkCount(command: Command, parsed: ParsedArguments): void {
  const [least, most] = command.count;
  const got = parsed.positionals.length;
  if (got >= least && got <= most) return;
  if (least === most) throw new UsageError(`accepts ${least} arg(s), received ${got}`);
  throw new UsageError(`requires at least ${least} arg(s), only received ${got}`);
}

/** Edit distance, for suggestions. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}

/** `unknown command "x" for "hutch"`, with what may have been meant. */
export function unknownCommand(word: string, names: readonly string[]): UsageError {
  const near = names.filter(
    (name) => distance(word.toLowerCase(), name) <= 2 || name.startsWith(word),
  );
  const hint =
    near.length > 0 ? `\n\nDid you mean this?\n${near.map((name) => `\t${name}\n`).join("")}` : "";
  return new UsageError(`unknown command "${word}" for "hutch"${hint}`);
}
