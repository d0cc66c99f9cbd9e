/** The command line taken apart, with the texts that Ollama's users know (cli.md 1). */
import { parseArgs } from "node:util";
import { distance } from "fastest-levenshtein";
import { UsageError } from "../errors.ts";
import type { Command } from "./command.ts";

export interface ParsedArguments {
  readonly positionals: readonly string[];
  /** Values by flag name, in the order given. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly help: boolean;
  /** Whether a command or flag is used that Ollama does not have. */
  readonly own: boolean;
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

/** Value of a flag; the last one wins. Undefined when it was not given. */
export function flagText(parsed: ParsedArguments, name: string): string | undefined {
  return parsed.flags.get(name)?.at(-1);
}

/** All values of a flag that may be repeated. */
export function flagTexts(parsed: ParsedArguments, name: string): readonly string[] {
  return parsed.flags.get(name) ?? [];
}

export function isOn(parsed: ParsedArguments, name: string): boolean {
  const value = flagText(parsed, name);
  return value !== undefined && !["0", "f", "F", "false", "FALSE", "False"].includes(value);
}

/** Whether a command line that does not parse uses something of hutch's own, as far as can be seen. */
export function looksOwn(command: Command, argv: readonly string[]): boolean {
  const names = command.flags.filter(({ own }) => own).map(({ name }) => `--${name}`);
  const own = (word: string) => names.includes(word.split("=")[0] ?? "");
  return command.own === true || argv.some(own);
}

/**
 * Flags may stand before, between or after positionals; `--` ends them.
 * @throws UsageError
 */
export function parseArguments(command: Command, argv: readonly string[]): ParsedArguments {
  const flags = new Map<string, string[]>();
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
  /** Position in each group of short flags. */
  const places = new Map<number, number>();
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    if (token.name === "help") {
      help = true;
      continue;
    }
    const flag = command.flags.find(({ name }) => name === token.name);
    const short = !token.rawName.startsWith("--");
    const place = (places.get(token.index) ?? 0) + 1;
    places.set(token.index, place);
    // A group of short flags is read from the left: what is left of it is named.
    const raw = short ? `-${(argv[token.index] ?? "").slice(place)}` : token.rawName;
    if (flag === undefined) {
      throw new UsageError(
        short
          ? `unknown shorthand flag: '${token.name}' in ${raw}`
          : `unknown flag: --${token.name}`,
      );
    }
    const value = flagValue(flag, token.value, raw);
    flags.set(flag.name, [...(flags.get(flag.name) ?? []), value]);
  }
  const own =
    command.own === true || command.flags.some((flag) => flag.own && flags.has(flag.name));
  return { positionals, flags, help, own };
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
  if (flag.kind === "int") {
    const whole = /^[+-]?\d+$/.test(value);
    if (!whole || BigInt.asIntN(64, BigInt(value)) !== BigInt(value)) {
      throw new UsageError(
        `invalid argument "${value}" for "${spelled(flag)}" flag: strconv.ParseInt: parsing "${value}": ${whole ? "value out of range" : "invalid syntax"}`,
      );
    }
  }
  return value;
}

/** Flags of the bare command; none takes a value. */
const rootFlags = new Set(["--help", "-h", "--version", "-v", "--verbose", "--nowordwrap"]);

/**
 * The word that names the command, and the words without it: flags may stand before it, and one that the
 * bare command does not have takes the next word for its value, unless that is the last one (as cobra
 * reads it). Undefined when no word names a command.
 * @param commands whose switches of hutch's own take no word either
 */
export function splitCommand(
  argv: readonly string[],
  commands: readonly Command[] = [],
): { readonly name: string; readonly rest: readonly string[] } | undefined {
  const switches = new Set(
    commands.flatMap(({ flags }) =>
      flags.filter((flag) => flag.own && flag.kind === "bool").map(({ name }) => `--${name}`),
    ),
  );
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    if (word === "--") return undefined;
    if (word === "") continue;
    if (!word.startsWith("-")) {
      return { name: word, rest: [...argv.slice(0, at), ...argv.slice(at + 1)] };
    }
    const alone = word.includes("=") || rootFlags.has(word) || switches.has(word);
    if (alone || (!word.startsWith("--") && word.length !== 2)) continue;
    if (argv.length - at <= 2) return undefined;
    at++;
  }
  return undefined;
}

/** A command line without a command, whose flags are not the bare command's. @throws UsageError */
export function checkRootFlags(argv: readonly string[]): void {
  for (const word of argv) {
    if (rootFlags.has(word) || !word.startsWith("-") || word === "--") continue;
    if (word.startsWith("--")) throw new UsageError(`unknown flag: ${word.split("=")[0]}`);
    throw new UsageError(`unknown shorthand flag: '${word[1] ?? ""}' in ${word}`);
  }
}

/** @throws UsageError in cobra's words */
export function checkCount(command: Command, parsed: ParsedArguments): void {
  const other = command.countWith;
  const [least, most] =
    other !== undefined && isOn(parsed, other.flag) ? other.count : command.count;
  const got = parsed.positionals.length;
  if (got >= least && got <= most) return;
  if (least === most) throw new UsageError(`accepts ${least} arg(s), received ${got}`);
  throw new UsageError(`requires at least ${least} arg(s), only received ${got}`);
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
