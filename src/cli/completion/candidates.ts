/** What may come next on a command line, from the table of commands. */
import type { Command, Flag } from "../command.ts";

export interface Candidate {
  readonly text: string;
  readonly meaning: string;
}

export interface Completion {
  readonly candidates: readonly Candidate[];
  /** Whether names of files may come as well. */
  readonly files: boolean;
}

const none: Completion = { candidates: [], files: false };

function plain(texts: readonly string[], meaning: string): Candidate[] {
  return texts.map((text) => ({ text, meaning }));
}

function starting(candidates: readonly Candidate[], start: string): Completion {
  return { candidates: candidates.filter(({ text }) => text.startsWith(start)), files: false };
}

function commandNames(table: readonly Command[]): Candidate[] {
  const listed = table.filter(({ hidden }) => !hidden);
  return [
    ...listed.map(({ name, summary }) => ({ text: name, meaning: summary })),
    { text: "help", meaning: "Help about any command" },
  ];
}

function takesWord(flag: Flag): boolean {
  return flag.kind !== "bool" && flag.bare === undefined;
}

/** The flag that the word before waits with for its value. */
function open(command: Command, word: string | undefined): Flag | undefined {
  return command.flags.find(
    (flag) => takesWord(flag) && (word === `--${flag.name}` || word === `-${flag.short}`),
  );
}

function values(flag: Flag, models: readonly string[]): Completion {
  if (flag.values === "files") return { candidates: [], files: true };
  if (flag.values === "models") return { candidates: plain(models, "model"), files: false };
  return { candidates: plain(flag.values ?? [], flag.help), files: false };
}

/** `--flag=val`: candidates are whole words again. */
function attached(command: Command, word: string, models: readonly string[]): Completion {
  const at = word.indexOf("=");
  const flag = command.flags.find(({ name }) => `--${name}` === word.slice(0, at));
  if (flag === undefined) return none;
  const { candidates, files } = values(flag, models);
  const whole = candidates.map(({ text, meaning }) => ({
    text: `${word.slice(0, at + 1)}${text}`,
    meaning,
  }));
  return { ...starting(whole, word), files };
}

function flagNames(command: Command): Candidate[] {
  const flags = command.flags.map((flag) => ({
    text: `--${flag.name}${flag.bare === undefined ? "" : "="}`,
    meaning: flag.help,
  }));
  return [...flags, { text: "--help", meaning: "Help for the command" }];
}

/** Places of the command's arguments among its words: flags and their values are none. */
function argumentsIn(command: Command, words: readonly string[]): number {
  let count = 0;
  for (const [i, word] of words.entries()) {
    if (word.startsWith("-") || open(command, words[i - 1]) !== undefined) continue;
    count++;
  }
  return count;
}

/**
 * @param words what stands before the cursor, without the program's name; the last one is being
 * typed and may be empty
 * @param models names in the store
 */
export function complete(
  table: readonly Command[],
  words: readonly string[],
  models: readonly string[],
): Completion {
  const word = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const [first, ...rest] = before;
  if (first === undefined) {
    const flags = plain(["--help", "--version"], "");
    return starting(word.startsWith("-") ? flags : commandNames(table), word);
  }
  if (first === "help") return starting(rest.length === 0 ? commandNames(table) : [], word);
  const command = table.find(({ name, aliases }) => name === first || aliases?.includes(first));
  if (command === undefined) return none;
  const waiting = open(command, rest.at(-1));
  if (waiting !== undefined) {
    const { candidates, files } = values(waiting, models);
    return { ...starting(candidates, word), files };
  }
  if (word.startsWith("--") && word.includes("=")) return attached(command, word, models);
  if (word.startsWith("-")) return starting(flagNames(command), word);
  const place = argumentsIn(command, rest);
  const most = command.name === "run" || command.name === "embed" ? 1 : command.count[1];
  if (place >= most || command.completes === undefined) return none;
  return starting(plain(models, "model"), word);
}
