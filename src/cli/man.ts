/** The man page, made from the table of commands and the table of variables. */
import { variables } from "../config/variables.ts";
import { version } from "../version.ts";
import type { Command, Flag } from "./command.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";

/** Text that roff prints as it is. */
function escaped(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/gm, "\\&$1");
}

function flagLines(flag: Flag): string[] {
  const value =
    flag.kind === "bool" ? "" : flag.bare === undefined ? " \\fIVALUE\\fR" : "[=\\fIVALUE\\fR]";
  const short = flag.short === undefined ? "" : `\\fB\\-${flag.short}\\fR, `;
  return [".TP", `${short}\\fB\\-\\-${escaped(flag.name)}\\fR${value}`, escaped(flag.help)];
}

function commandLines(command: Command): string[] {
  const names = [command.name, ...(command.aliases ?? [])].map((name) => `hutch ${name}`);
  const title = `${names[0]}${command.usage === "" ? "" : ` ${command.usage}`}`;
  const aliases = names.length > 1 ? [`Also: ${names.slice(1).join(", ")}.`] : [];
  const examples = (command.examples ?? []).flatMap(([line, meaning]) => [
    ".PP",
    `${escaped(meaning)}:`,
    ".PP",
    ".RS 4",
    ".nf",
    escaped(line),
    ".fi",
    ".RE",
  ]);
  return [
    `.SS "${escaped(title)}"`,
    `${escaped(command.summary)}.`,
    ...aliases,
    ...command.flags.flatMap(flagLines),
    ...examples,
  ];
}

const codes: readonly (readonly [number, string])[] = [
  [exitCodes.ok, "Done."],
  [exitCodes.error, "Any other error; every error of a command line that Ollama has too."],
  [exitCodes.usage, "The command line is wrong."],
  [exitCodes.modelMissing, "The model is not there."],
  [exitCodes.loadFailed, "The model could not be loaded."],
  [exitCodes.formatNotMet, "The answer is not in the format asked for."],
  [exitCodes.contextExceeded, "The prompt is longer than the context."],
  [exitCodes.unreachable, "No server at the address."],
  [exitCodes.drift, "A model is not what models.lock pins."],
  [exitCodes.timedOut, "The time is over."],
  [exitCodes.interrupted, "Interrupted."],
];

/** The page hutch(1), in roff. */
export function manPage(table: readonly Command[]): string {
  const shown = table.filter(({ hidden }) => !hidden);
  const item = (tag: string, text: string) => [".TP", `\\fB${escaped(tag)}\\fR`, escaped(text)];
  const lines = [
    `.TH HUTCH 1 "" "hutch ${version}" "User Commands"`,
    ".SH NAME",
    "hutch \\- large language model runner",
    ".SH SYNOPSIS",
    "\\fBhutch\\fR \\fICOMMAND\\fR [\\fIFLAGS\\fR] [\\fIARGUMENTS\\fR]",
    ".SH DESCRIPTION",
    "Runs large language models on this machine, as a server with Ollama's API and from the command line, with or without a server.",
    ".SH COMMANDS",
    ...shown.flatMap(commandLines),
    ".SH EXIT STATUS",
    ...codes.flatMap(([code, text]) => item(String(code), text)),
    ".SH ENVIRONMENT",
    "Each variable is read as HUTCH_X; most as OLLAMA_X too. HUTCH_X wins.",
    ...Object.entries(variables).flatMap(([name, { help }]) => item(`HUTCH_${name}`, help)),
    ".SH FILES",
    ...item("~/.ollama/models", "The model store."),
    ...item("~/.ollama/history", "Messages of chats."),
  ];
  return `${lines.join("\n")}\n`;
}

export async function printManPage(context: Context, table: readonly Command[]): Promise<number> {
  context.out(manPage(table));
  return exitCodes.ok;
}
