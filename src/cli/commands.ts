/** The table of commands, long because it is one table: parsing, help, completion and dispatch are made from it (cli.md 3). */
import type { Command, Flag } from "./command.ts";

const many = Number.POSITIVE_INFINITY;
const insecure: Flag = { name: "insecure", kind: "bool", help: "Use an insecure registry" };
const quiet: Flag = { name: "quiet", kind: "bool", help: "Show no progress", own: true };
const keepalive: Flag = {
  name: "keepalive",
  kind: "duration",
  help: "Duration to keep a model loaded (e.g. 5m)",
};

/** Of every command that works on models: whom to ask. */
const target: readonly Flag[] = [
  { name: "server", kind: "text", help: "Ask the server at this address", own: true },
  { name: "no-server", kind: "bool", help: "Work in this process, whoever runs", own: true },
];

async function unsupported(what: string): Promise<never> {
  const { UnsupportedError } = await import("../errors.ts");
  throw new UnsupportedError(`${what} is not supported by this version of hutch`);
}

const serve: Command = {
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
  ],
  run: async (context) => (await import("./serve.ts")).serve(context),
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

const embed: Command = {
  name: "embed",
  usage: "MODEL [TEXT...|-]",
  summary: "Turn texts into vectors, a JSON line each",
  own: true,
  flags: [
    { name: "truncate", kind: "bool", help: "Cut texts that are longer than the context" },
    { name: "dimensions", kind: "int", help: "Length of the vectors" },
    keepalive,
    ...target,
  ],
  count: [1, many],
  completes: "models",
  variables: ["HOST"],
  examples: [
    ['hutch embed mine "one text" "another"', "Two lines of JSON"],
    ["hutch embed mine - < lines.txt > vectors.jsonl", "A vector for each line"],
  ],
  run: async (context, parsed) => (await import("./embed.ts")).embed(context, parsed),
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
  flags: [insecure, quiet, ...target],
  count: [1, 1],
  completes: "models",
  variables: ["HOST"],
  examples: [
    ["hutch pull registry.example/team/model:v1", "Download it, or go on where it broke off"],
  ],
  run: async (context, parsed) => (await import("./transfer.ts")).pull(context, parsed),
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
  flags: [...target],
  count: [0, many],
  variables: ["HOST"],
  examples: [["hutch ps", "What is loaded, where, until when"]],
  run: async (context, parsed) => (await import("./models.ts")).ps(context, parsed),
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

const verify: Command = {
  name: "verify",
  usage: "[MODEL]",
  summary: "Check the stored models' content",
  flags: [
    { name: "repair", kind: "bool", help: "Pull again what is damaged or missing" },
    insecure,
    quiet,
  ],
  count: [0, 1],
  completes: "models",
  own: true,
  variables: ["MODELS"],
  examples: [["hutch verify", "Hash every blob again and say which are not what they should be"]],
  run: async (context, parsed) => (await import("./verify.ts")).verify(context, parsed),
};

const plan: Command = {
  name: "plan",
  usage: "MODEL",
  summary: "Tell what a model takes in memory before it is loaded",
  flags: [
    { name: "option", kind: "list", help: "Option as name=value (e.g. num_ctx=8192)" },
    { name: "format", kind: "text", help: "text or json", values: ["text", "json"] },
  ],
  count: [1, 1],
  completes: "models",
  own: true,
  variables: ["CONTEXT_LENGTH", "KV_CACHE_TYPE", "MEMORY", "MODELS", "NUM_PARALLEL"],
  examples: [
    ["hutch plan guide", "The bill, and whether it fits"],
    ["hutch plan guide --option num_ctx=32768 --format json", "For scripts; exit code 4: no"],
  ],
  run: async (context, parsed) => (await import("./plan.ts")).plan(context, parsed),
};

const exportModel: Command = {
  name: "export",
  usage: "MODEL FILE.tar",
  summary: "Write a model to an archive (OCI image layout)",
  flags: [quiet],
  count: [2, 2],
  completes: "models",
  own: true,
  variables: ["MODELS"],
  examples: [["hutch export guide guide.tar", "One file, for a machine without a network"]],
  run: async (context, parsed) => (await import("./archive.ts")).exportArchive(context, parsed),
};

const importModel: Command = {
  name: "import",
  usage: "FILE.tar",
  summary: "Take models from an archive into the store",
  flags: [
    { name: "name", kind: "text", help: "Name for the model instead of the archive's" },
    quiet,
  ],
  count: [1, 1],
  own: true,
  variables: ["MODELS"],
  examples: [["hutch import guide.tar", "Every blob is checked on its way in"]],
  run: async (context, parsed) => (await import("./archive.ts")).importArchive(context, parsed),
};

const schema: Command = {
  name: "schema",
  usage: "check SCHEMA [INSTANCE...]",
  summary: "Check how far a JSON schema can be kept",
  flags: [
    { name: "batch", kind: "text", help: "File of schemas and tests, one JSON object a line" },
    { name: "model", kind: "text", help: "Model whose tokenizer is used (default guide)" },
  ],
  count: [1, many],
  variables: ["MODELS"],
  examples: [
    ["hutch schema check person.json ada.json", "The level of a schema; whether an instance fits"],
  ],
  own: true,
  completes: ["check"],
  run: async (context, parsed) => (await import("./schema.ts")).schema(context, parsed),
};

/** Commands that talk to ollama.com or start other programs: named, so that the answer is clear. */
function foreign(name: string, usage: string, summary: string): Command {
  const most = usage === "" ? 0 : many;
  return { name, usage, summary, flags: [], count: [0, most], run: () => unsupported(name) };
}

const completion: Command = {
  name: "completion",
  usage: "bash|zsh|fish",
  summary: "Print a script that completes command lines",
  own: true,
  hidden: true,
  flags: [],
  count: [1, 1],
  examples: [
    ['eval "$(hutch completion bash)"', "In ~/.bashrc"],
    ["hutch completion fish > ~/.config/fish/completions/hutch.fish", "For fish"],
  ],
  run: async (context, parsed) =>
    (await import("./completion/command.ts")).printScript(context, parsed),
};

const man: Command = {
  name: "man",
  usage: "",
  summary: "Print the man page",
  own: true,
  hidden: true,
  flags: [],
  count: [0, 0],
  examples: [["hutch man | man -l -", "Read it"]],
  run: async (context, _, table) => (await import("./man.ts")).printManPage(context, table),
};

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
  verify,
  plan,
  exportModel,
  importModel,
  embed,
  completion,
  man,
  schema,
  foreign("launch", "[NAME]", "Launch another program (not part of hutch)"),
];

export function findCommand(name: string): Command | undefined {
  return commands.find((command) => command.name === name || command.aliases?.includes(name));
}
