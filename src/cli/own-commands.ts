/** Commands that Ollama does not have; part of the table in commands.ts. */
import type { Command, Flag } from "./command.ts";
import { insecure, keepalive, lockFile, quiet, target } from "./flags.ts";

const many = Number.POSITIVE_INFINITY;

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

const batch: Command = {
  name: "batch",
  usage: "IN.jsonl OUT.jsonl",
  summary: "Answer a file of requests, a JSON line each",
  own: true,
  flags: [
    { name: "model", kind: "text", help: "Model of lines that name none", values: "models" },
    { name: "parallel", kind: "int", help: "Requests side by side (default 4)" },
    quiet,
    ...target,
  ],
  count: [2, 2],
  variables: ["HOST", "NUM_PARALLEL"],
  examples: [
    ["hutch batch in.jsonl out.jsonl --model guide", "Run again after a kill, it goes on"],
  ],
  run: async (context, parsed) => (await import("./batch.ts")).batch(context, parsed),
};

const listen: Flag = {
  name: "listen",
  kind: "text",
  help: "Address to listen on (default 127.0.0.1:11435)",
};

const record: Command = {
  name: "record",
  usage: "FILE",
  summary: "Pass requests on to a server and keep the answers in a file",
  own: true,
  flags: [
    listen,
    { name: "server", kind: "text", help: "Server to pass them on to (default: HOST)" },
  ],
  count: [1, 1],
  variables: ["HOST"],
  examples: [["hutch record answers.jsonl", "Then let clients talk to 127.0.0.1:11435"]],
  run: async (context, parsed) => (await import("./cassette/command.ts")).record(context, parsed),
};

const replay: Command = {
  name: "replay",
  usage: "FILE",
  summary: "Answer requests from a recorded file, without a model",
  own: true,
  flags: [listen, { name: "timing", kind: "bool", help: "As slowly as it was recorded" }],
  count: [1, 1],
  examples: [["hutch replay answers.jsonl", "The same answers, on any machine"]],
  run: async (context, parsed) => (await import("./cassette/command.ts")).replay(context, parsed),
};

const lock: Command = {
  name: "lock",
  usage: "[MODEL...]",
  summary: "Pin models to their digests in models.lock",
  own: true,
  flags: [
    lockFile,
    { name: "key", kind: "bool", help: "Print a key for caches of pipelines" },
    { name: "check", kind: "bool", help: "Say what the store holds otherwise than pinned" },
  ],
  count: [0, many],
  completes: "models",
  variables: ["MODELS"],
  examples: [
    ["hutch lock guide", "Pin what the store holds"],
    ["hutch lock --key", "A text that changes when any pinned content does"],
    ["hutch lock --check", "Exit code 9 when something has changed"],
  ],
  run: async (context, parsed) => (await import("./lock.ts")).lock(context, parsed),
};

const verify: Command = {
  name: "verify",
  usage: "[MODEL]",
  summary: "Check the stored models' content",
  flags: [
    { name: "lock", kind: "bool", help: "Compare with models.lock as well" },
    lockFile,
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

export const ownCommands: readonly Command[] = [
  verify,
  plan,
  exportModel,
  importModel,
  embed,
  batch,
  record,
  replay,
  lock,
  completion,
  man,
  schema,
];
