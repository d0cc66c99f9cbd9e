/** What a command and a flag are; the table of all is in commands.ts. */
import type { ParsedArguments } from "./arguments.ts";
import type { Context } from "./context.ts";

export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** `list`: may be given several times. */
  readonly kind: "bool" | "text" | "int" | "duration" | "list";
  readonly help: string;
  /** Value of a bare `--flag`, for flags whose value must be attached by `=`. */
  readonly bare?: string;
  /** Ollama has no such flag: exit codes tell more where it is used (exit-codes.ts). */
  readonly own?: boolean;
  /** What completion offers as its value. */
  readonly values?: readonly string[] | "files" | "models";
}

export interface Command {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** Arguments as usage shows them. */
  readonly usage: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** How many positional arguments: [least, most]. */
  readonly count: readonly [least: number, most: number];
  /** Counts that hold instead where this flag is given. */
  readonly countWith?: { readonly flag: string; readonly count: Command["count"] };
  /** What completion offers as arguments. */
  readonly completes?: "models" | "commands" | readonly string[];
  /** Variables that help lists. */
  readonly variables?: readonly string[];
  /** Command lines with what they do. */
  readonly examples?: readonly (readonly [line: string, meaning: string])[];
  /** Ollama has no such command. */
  readonly own?: boolean;
  /** Not listed in help. */
  readonly hidden?: boolean;
  /** Resolves with the exit code. `table` holds every command, for those that tell of the others. */
  readonly run: (
    context: Context,
    parsed: ParsedArguments,
    table: readonly Command[],
  ) => Promise<number>;
}
