/**
 * The table of commands: parsing, help, completion and dispatch are made from it (cli.md 3). Those of
 * Ollama's are here, those of hutch's own in own-commands.ts.
 */
import { isOn } from "./arguments.ts";
import type { Command } from "./command.ts";
import { insecure, keepalive, lockFile, quiet, target } from "./flags.ts";
import { ownCommands } from "./own-commands.ts";

const many = Number.POSITIVE_INFINITY;
async function unsupported(what: string): Promise<never> {
  const { UnsupportedError } = await import("../errors.ts");
  throw new UnsupportedError(`${what} is not supported by this version of hutch`);
}

const serve: Command = {
  name: "serve",
  aliases: ["start"],
  usage: "",
  summary: "Start the server",
  flags: [
    { name: "fake", kind: "bool", help: "Make answers up, without a model", own: true },
    { name: "fake-model", kind: "list", help: "Only models of these names", own: true },
    { name: "fake-rate", kind: "text", help: "Tokens a second of each answer", own: true },
    { name: "fake-delay", kind: "text", help: "Milliseconds before an answer", own: true },
    { name: "fake-words", kind: "int", help: "Words of an answer (default 32)", own: true },
    { name: "fake-seed", kind: "int", help: "Another seed gives other words", own: true },
  ],
  count: [0, 0],
  variables: [
    "DEBUG",
    "HOST",
    "CONTEXT_LENGTH",
    "KEEP_ALIVE",
    "MAX_LOADED_MODELS",
    "MAX_QUEUE",
    "MEMORY",
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
  examples: [
    ["hutch serve", "Serve on 127.0.0.1:11434"],
    ["HUTCH_HOST=0.0.0.0:8080 hutch serve", "Serve on every interface, port 8080"],
    ["hutch serve --fake --fake-rate 50", "For tests of clients: any model, 50 tokens a second"],
  ],
  run: async (context, parsed) => (await import("./serve.ts")).serve(context, parsed),
};

const create: Command = {
  name: "create",
  usage: "MODEL",
  summary: "Create a model",
  flags: [
    {
      name: "file",
      short: "f",
      kind: "text",
      help: 'Name of the Modelfile (default "Modelfile")',
      values: "files",
    },
    {
      name: "quantize",
      short: "q",
      kind: "text",
      help: "Quantize model to this level (e.g. q4_K_M)",
      values: ["q4_K_M", "q4_K_S", "q4_0", "q5_K_M", "q6_K", "q8_0", "f16"],
    },
    { name: "draft-quantize", kind: "text", help: "Quantize the draft model to this level" },
    { name: "experimental", kind: "bool", help: "Accepted for compatibility" },
    quiet,
    ...target,
  ],
  count: [1, 1],
  variables: ["HOST"],
  examples: [
    ["hutch create mine", "From the Modelfile in this folder"],
    ["hutch create mine -f my.modelfile -q q4_K_M", "From another one, quantized"],
  ],
  run: async (context, parsed) => (await import("./create.ts")).create(context, parsed),
};

const show: Command = {
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
    ...target,
  ],
  count: [1, 1],
  completes: "models",
  variables: ["HOST"],
  examples: [
    ["hutch show guide", "Architecture, capabilities, parameters"],
    ["hutch show guide --modelfile > Modelfile", "A Modelfile to start from"],
  ],
  run: async (context, parsed) => (await import("./show.ts")).show(context, parsed),
};

const run: Command = {
  name: "run",
  usage: "MODEL [PROMPT]",
  summary: "Run a model",
  flags: [
    keepalive,
    { name: "verbose", kind: "bool", help: "Show timings for response" },
    insecure,
    { name: "nowordwrap", kind: "bool", help: "Don't wrap words to the next line automatically" },
    {
      name: "format",
      kind: "text",
      help: "Response format: json, a JSON schema, or a file with one",
      values: "files",
    },
    {
      name: "think",
      kind: "text",
      bare: "true",
      help: "Enable thinking mode: true/false or high/medium/low/max",
      values: ["true", "false", "low", "medium", "high", "max"],
    },
    { name: "hidethinking", kind: "bool", help: "Hide thinking output (if provided)" },
    { name: "truncate", kind: "bool", help: "Cut a text that is longer than the context" },
    { name: "dimensions", kind: "int", help: "Length of the vectors of embedding models" },
    { name: "system", kind: "text", help: "System message", own: true },
    { name: "message", kind: "list", help: "Earlier message, as role:text", own: true },
    {
      name: "messages",
      kind: "list",
      help: "JSON file with earlier messages",
      own: true,
      values: "files",
    },
    { name: "image", kind: "list", help: "Image or audio file", own: true, values: "files" },
    { name: "option", kind: "list", help: "Option as name=value (e.g. top_k=20)", own: true },
    { name: "seed", kind: "int", help: "Seed of the random numbers", own: true },
    { name: "max-tokens", kind: "int", help: "Most tokens of the answer", own: true },
    { name: "timeout", kind: "duration", help: "Most time for the answer (e.g. 30s)", own: true },
    {
      name: "output",
      kind: "text",
      help: "text, json (one object) or ndjson (as it comes)",
      own: true,
      values: ["text", "json", "ndjson"],
    },
    { name: "tools", kind: "text", help: "JSON file with tools", own: true, values: "files" },
    { name: "offline", kind: "bool", help: "Do not pull a missing model", own: true },
    ...target,
  ],
  count: [1, many],
  completes: "models",
  variables: ["EDITOR", "HOST", "NOHISTORY"],
  examples: [
    ["hutch run guide", "A chat in the terminal"],
    ['hutch run guide "What can you do?"', "One answer"],
    ["git diff | hutch run guide Summarize", "Standard input goes before the words"],
    [
      "hutch run guide --output json --timeout 30s --seed 1 Hello",
      "For scripts: one JSON object, exit code by outcome",
    ],
  ],
  run: async (context, parsed) => (await import("./run.ts")).run(context, parsed),
};

const stop: Command = {
  name: "stop",
  usage: "MODEL",
  summary: "Stop a running model",
  flags: [...target],
  count: [1, 1],
  completes: "models",
  variables: ["HOST"],
  examples: [["hutch stop guide", "Free its memory"]],
  run: async (context, parsed) => (await import("./models.ts")).stop(context, parsed),
};

const pull: Command = {
  name: "pull",
  usage: "MODEL",
  summary: "Pull a model from a registry",
  flags: [
    insecure,
    quiet,
    { name: "frozen", kind: "bool", help: "Pull what models.lock pins, or fail", own: true },
    lockFile,
    ...target,
  ],
  count: [1, 1],
  countWith: { flag: "frozen", count: [0, many] },
  completes: "models",
  variables: ["HOST"],
  examples: [
    ["hutch pull --frozen", "Every model of models.lock, as pinned"],
    ["hutch pull registry.example/team/model:v1", "Download it, or go on where it broke off"],
  ],
  run: async (context, parsed) =>
    parsed.flags.has("frozen")
      ? (await import("./lock.ts")).pullFrozen(context, parsed)
      : (await import("./transfer.ts")).pull(context, parsed),
};

const push: Command = {
  name: "push",
  usage: "MODEL",
  summary: "Push a model to a registry",
  flags: [insecure, quiet, ...target],
  count: [1, 1],
  completes: "models",
  variables: ["HOST"],
  examples: [["hutch push registry.example/team/model:v1", "Upload what the registry lacks"]],
  run: async (context, parsed) => (await import("./transfer.ts")).push(context, parsed),
};

const list: Command = {
  name: "list",
  aliases: ["ls"],
  usage: "[PREFIX]",
  summary: "List models",
  flags: [...target],
  count: [0, many],
  completes: "models",
  variables: ["HOST"],
  examples: [["hutch list gui", "Models whose names begin so"]],
  run: async (context, parsed) => (await import("./models.ts")).list(context, parsed),
};

const ps: Command = {
  name: "ps",
  usage: "[PREFIX]",
  summary: "List running models",
  flags: [
    { name: "watch", kind: "bool", help: "Go on showing them, until Ctrl-C", own: true },
    {
      name: "interval",
      kind: "duration",
      help: "Time between two looks of --watch (default 1s)",
      own: true,
    },
    ...target,
  ],
  count: [0, many],
  variables: ["HOST"],
  examples: [
    ["hutch ps", "What is loaded, where, until when"],
    ["hutch ps --watch", "With slots and queue, as they change"],
  ],
  run: async (context, parsed) =>
    isOn(parsed, "watch")
      ? (await import("./watch.ts")).watch(context, parsed)
      : (await import("./models.ts")).ps(context, parsed),
};

const cp: Command = {
  name: "cp",
  usage: "SOURCE DESTINATION",
  summary: "Copy a model",
  flags: [...target],
  count: [2, 2],
  completes: "models",
  variables: ["HOST"],
  examples: [["hutch cp guide mine", "Another name for the same model"]],
  run: async (context, parsed) => (await import("./models.ts")).copy(context, parsed),
};

const rm: Command = {
  name: "rm",
  usage: "MODEL [MODEL...]",
  summary: "Remove a model",
  flags: [...target],
  count: [1, many],
  completes: "models",
  variables: ["HOST"],
  examples: [["hutch rm mine", "Remove it from the store"]],
  run: async (context, parsed) => (await import("./models.ts")).remove(context, parsed),
};

/** Commands that talk to ollama.com or start other programs: named, so that the answer is clear. */
function foreign(name: string, usage: string, summary: string): Command {
  const most = usage === "" ? 0 : many;
  return { name, usage, summary, flags: [], count: [0, most], run: () => unsupported(name) };
}

export const commands: readonly Command[] = [
  serve,
  create,
  show,
  run,
  stop,
  pull,
  push,
  foreign("signin", "", "Sign in to ollama.com (not part of hutch)"),
  foreign("signout", "", "Sign out from ollama.com (not part of hutch)"),
  list,
  ps,
  cp,
  rm,
  ...ownCommands,
  foreign("launch", "[NAME]", "Launch another program (not part of hutch)"),
];

export function findCommand(name: string): Command | undefined {
  return commands.find((command) => command.name === name || command.aliases?.includes(name));
}
