/** Help texts, made from the table of commands (cli.md 1). */
import { type VariableName, variables } from "../config/variables.ts";
import type { Command, Flag } from "./command.ts";
import { commands } from "./commands.ts";

function flagRows(flags: readonly Flag[]): string {
  const all = [...flags, { name: "help", short: "h", kind: "bool", help: "help" } as const];
  const rows = all
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, short, kind, help }) => {
      const kinds = {
        bool: "",
        text: " string",
        int: " int",
        duration: " duration",
        list: " stringArray",
      };
      return [
        `${short === undefined ? "    " : `-${short}, `}--${name}${kinds[kind]}`,
        help,
      ] as const;
    });
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}   ${right}`).join("\n");
}

function variableRows(names: readonly string[]): string {
  const rows = names.map((name) => {
    const known = variables[name as VariableName] as { help: string } | undefined;
    return `      ${`HUTCH_${name}`.padEnd(27)}${known?.help ?? ""}`;
  });
  return `\nEnvironment Variables:\n${rows.join("\n")}\n`;
}

export function commandHelp(command: Command): string {
  const usage = ["hutch", command.name, command.usage, "[flags]"].filter(Boolean).join(" ");
  const aliases = command.aliases
    ? `\nAliases:\n  ${[command.name, ...command.aliases].join(", ")}\n`
    : "";
  const examples = command.examples
    ? `\nExamples:\n${command.examples.map(([line, meaning]) => `  # ${meaning}\n  ${line}\n`).join("")}`
    : "";
  const environment = command.variables ? variableRows(command.variables) : "";
  return `${command.summary}\n\nUsage:\n  ${usage}\n${aliases}\nFlags:\n${flagRows(command.flags)}\n${examples}${environment}`;
}

export function rootHelp(): string {
  const rows = [
    ...commands
      .filter(({ hidden }) => !hidden)
      .map(({ name, summary }) => [name, summary] as const),
    ["help", "Help about any command"] as const,
  ];
  const list = rows.map(([name, summary]) => `  ${name.padEnd(11)} ${summary}`).join("\n");
  return `Large language model runner

Usage:
  hutch [flags]
  hutch [command]

Available Commands:
${list}

Flags:
  -h, --help         help for hutch
      --nowordwrap   Don't wrap words to the next line automatically
      --verbose      Show timings for response
  -v, --version      Show version information

Use "hutch [command] --help" for more information about a command.
`;
}
