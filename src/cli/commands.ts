/** The table of commands: parsing, help and dispatch are made from it (cli.md 3). */

import type { ParsedArguments } from "./arguments.ts";
import type { Context } from "./context.ts";

export interface Flag {
  readonly name: string;
  readonly short?: string;
  readonly kind: "bool" | "text" | "int" | "duration";
  readonly help: string;
  /** Value of a bare `--flag`, for flags whose value must be attached by `=`. */
  readonly bare?: string;
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
  /** Variables that help lists. */
  readonly variables?: readonly string[];
  /** Resolves with the exit code. */
  readonly run: (context: Context, parsed: ParsedArguments) => Promise<number>;
}

const many = Number.POSITIVE_INFINITY;
const insecure: Flag = { name: "insecure", kind: "bool", help: "Use an insecure registry" };

async function unsupported(what: string): Promise<never> {
  const { UnsupportedError } = await import("../errors.ts");
  throw new UnsupportedError(`${what} is not supported by this version of hutch`);
}

export const commands: readonly Command[] = [
  {
    name: "serve",
    aliases: ["start"],
    usage: "",
    summary: "Start the server",
    flags: [],
    count: [0, 0],
    variables: [
      "DEBUG",
      "HOST",
      "CONTEXT_LENGTH",
      "KEEP_ALIVE",
      "MAX_LOADED_MODELS",
      "MAX_QUEUE",
      "MODELS",
      "NUM_PARALLEL",
      "NOPRUNE",
      "ORIGINS",
      "SCHED_SPREAD",
      "FLASH_ATTENTION",
      "KV_CACHE_TYPE",
      "GPU_OVERHEAD",
      "LOAD_TIMEOUT",
    ],
    run: async (context) => (await import("./serve.ts")).serve(context),
  },
  {
    name: "create",
    usage: "MODEL",
    summary: "Create a model",
    flags: [
      {
        name: "file",
        short: "f",
        kind: "text",
        help: 'Name of the Modelfile (default "Modelfile")',
      },
      {
        name: "quantize",
        short: "q",
        kind: "text",
        help: "Quantize model to this level (e.g. q4_K_M)",
      },
      { name: "draft-quantize", kind: "text", help: "Quantize the draft model to this level" },
      { name: "experimental", kind: "bool", help: "Accepted for compatibility" },
    ],
    count: [1, 1],
    variables: ["HOST"],
    run: async (context, parsed) => (await import("./create.ts")).create(context, parsed),
  },
  {
    name: "show",
    usage: "MODEL",
    summary: "Show information for a model",
    flags: [
      { name: "license", kind: "bool", help: "Show license of a model" },
      { name: "modelfile", kind: "bool", help: "Show Modelfile of a model" },
      { name: "parameters", kind: "bool", help: "Show parameters of a model" },
      { name: "template", kind: "bool", help: "Show template of a model" },
      { name: "system", kind: "bool", help: "Show system message of a model" },
      { name: "verbose", short: "v", kind: "bool", help: "Show detailed model information" },
    ],
    count: [1, 1],
    variables: ["HOST"],
    run: async (context, parsed) => (await import("./show.ts")).show(context, parsed),
  },
  {
    name: "run",
    usage: "MODEL [PROMPT]",
    summary: "Run a model",
    flags: [
      { name: "keepalive", kind: "text", help: "Duration to keep a model loaded (e.g. 5m)" },
      { name: "verbose", kind: "bool", help: "Show timings for response" },
      insecure,
      { name: "nowordwrap", kind: "bool", help: "Don't wrap words to the next line automatically" },
      { name: "format", kind: "text", help: "Response format (e.g. json)" },
      {
        name: "think",
        kind: "text",
        bare: "true",
        help: "Enable thinking mode: true/false or high/medium/low/max",
      },
      { name: "hidethinking", kind: "bool", help: "Hide thinking output (if provided)" },
      {
        name: "truncate",
        kind: "bool",
        help: "For embedding models: truncate inputs exceeding context length",
      },
      {
        name: "dimensions",
        kind: "int",
        help: "Truncate output embeddings to specified dimension",
      },
    ],
    count: [1, many],
    variables: ["EDITOR", "HOST", "NOHISTORY"],
    run: async (context, parsed) => (await import("./run.ts")).run(context, parsed),
  },
  {
    name: "stop",
    usage: "MODEL",
    summary: "Stop a running model",
    flags: [],
    count: [1, 1],
    variables: ["HOST"],
    run: async (context, parsed) => (await import("./models.ts")).stop(context, parsed),
  },
  {
    name: "pull",
    usage: "MODEL",
    summary: "Pull a model from a registry",
    flags: [insecure],
    count: [1, 1],
    variables: ["HOST"],
    run: async (context, parsed) => (await import("./models.ts")).transfer(context, parsed, "pull"),
  },
  {
    name: "push",
    usage: "MODEL",
    summary: "Push a model to a registry",
    flags: [insecure],
    count: [1, 1],
    variables: ["HOST"],
    run: async (context, parsed) => (await import("./models.ts")).transfer(context, parsed, "push"),
  },
  {
    name: "signin",
    usage: "",
    summary: "Sign in to ollama.com",
    flags: [],
    count: [0, 0],
    run: () => unsupported("signin"),
  },
  {
    name: "signout",
    usage: "",
    summary: "Sign out from ollama.com",
    flags: [],
    count: [0, 0],
    run: () => unsupported("signout"),
  },
  {
    name: "list",
    aliases: ["ls"],
    usage: "",
    summary: "List models",
    flags: [],
    count: [0, many],
    variables: ["HOST"],
    run: async (context, parsed) => (await import("./models.ts")).list(context, parsed),
  },
  {
    name: "ps",
    usage: "",
    summary: "List running models",
    flags: [],
    count: [0, many],
    variables: ["HOST"],
    run: async (context, parsed) => (await import("./models.ts")).ps(context, parsed),
  },
  {
    name: "cp",
    usage: "SOURCE DESTINATION",
    summary: "Copy a model",
    flags: [],
    count: [2, 2],
    variables: ["HOST"],
    run: async (context, parsed) => (await import("./models.ts")).copy(context, parsed),
  },
  {
    name: "rm",
    usage: "MODEL [MODEL...]",
    summary: "Remove a model",
    flags: [],
    count: [1, many],
    variables: ["HOST"],
    run: async (context, parsed) => (await import("./models.ts")).remove(context, parsed),
  },
  {
    name: "launch",
    usage: "[NAME]",
    summary: "Launch another program (not part of hutch)",
    flags: [],
    count: [0, many],
    run: () => unsupported("launch"),
  },
];

export function findCommand(name: string): Command | undefined {
  return commands.find((command) => command.name === name || command.aliases?.includes(name));
}
