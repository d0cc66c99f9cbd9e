/**
 * Every environment variable that hutch knows, in one table: name, kind, default, help. Help texts,
 * `docs/variables.md` and `env.ts` are made from it, so none of them can drift. `HUTCH_X` wins over
 * `OLLAMA_X`. Meanings: ../shared spec env.md section 2.
 */

/** How a text becomes a value (env.md section 1). */
export type VariableKind = "text" | "bool" | "tristate" | "count" | "duration" | "list" | "bytes";

export interface Variable {
  readonly kind: VariableKind;
  /** Shown in help; the value used when unset. */
  readonly fallback: string;
  readonly help: string;
  /** Where it is read. */
  readonly reader: "server" | "client" | "both";
  /** Whether the `OLLAMA_` spelling is read too. */
  readonly ollama: boolean;
}

const server = { reader: "server", ollama: true } as const;
const client = { reader: "client", ollama: true } as const;
const both = { reader: "both", ollama: true } as const;
const own = { reader: "both", ollama: false } as const;

export const variables = {
  HOST: {
    ...both,
    kind: "text",
    fallback: "127.0.0.1:11434",
    help: "Address to listen on or to contact",
  },
  MODELS: {
    ...both,
    kind: "text",
    fallback: "~/.ollama/models",
    help: "Folder of the model store",
  },
  KEEP_ALIVE: {
    ...server,
    kind: "duration",
    fallback: "5m",
    help: "How long an idle model stays loaded",
  },
  EXTRAS: {
    ...own,
    reader: "server",
    kind: "bool",
    fallback: "0",
    help: "Answers say what was cut and what came from the cache, in fields that Ollama does not have",
  },
  CONTEXT_LENGTH: {
    ...server,
    kind: "count",
    fallback: "0",
    help: "Context length in tokens when neither model nor request sets it (0: 4096)",
  },
  NUM_PARALLEL: {
    ...server,
    kind: "count",
    fallback: "0",
    help: "Requests evaluated side by side per model (0: automatic)",
  },
  MAX_LOADED_MODELS: {
    ...server,
    kind: "count",
    fallback: "0",
    help: "Most models loaded at once (0: 3)",
  },
  MEMORY: {
    ...own,
    reader: "server",
    kind: "bytes",
    fallback: "0",
    help: "Most memory of all loaded models together, a promise (0: what the machine has)",
  },
  MAX_QUEUE: {
    ...server,
    kind: "count",
    fallback: "512",
    help: "Most requests waiting for a model",
  },
  LOAD_TIMEOUT: {
    ...server,
    kind: "duration",
    fallback: "5m",
    help: "Longest stall while a model loads (0 or less: none)",
  },
  FLASH_ATTENTION: {
    ...server,
    kind: "tristate",
    fallback: "",
    help: "Force flash attention on or off (unset: automatic)",
  },
  KV_CACHE_TYPE: {
    ...server,
    kind: "text",
    fallback: "f16",
    help: "Element type of the KV cache: f16, q8_0, q4_0",
  },
  KERNELS: {
    ...own,
    reader: "server",
    kind: "bool",
    fallback: "true",
    help: "Multiply Q8_0, Q6_K, Q5_K, F16 and BF16 weights, and compute attention, in hutch's own way where the CPU has AVX2 and nothing newer (false: in ggml's)",
  },
  DETERMINISTIC: {
    ...own,
    reader: "server",
    kind: "bool",
    fallback: "false",
    help: "Evaluate one request at a time, so that no answer and no vector depends on what else is asked for; slower",
  },
  GPU_OVERHEAD: {
    ...server,
    kind: "bytes",
    fallback: "0",
    help: "Taken for Ollama's sake, without effect: 1 GiB of every GPU is left free, num_gpu chooses the layers",
  },
  SCHED_SPREAD: {
    ...server,
    kind: "bool",
    fallback: "false",
    help: "Taken for Ollama's sake: layers are spread over all GPUs in any case, unless main_gpu chooses one",
  },
  ORIGINS: {
    ...server,
    kind: "list",
    fallback: "",
    help: "Further allowed CORS origins, separated by commas",
  },
  NOPRUNE: { ...server, kind: "bool", fallback: "false", help: "Keep unreferenced blobs" },
  GO_TEMPLATE: {
    ...server,
    kind: "tristate",
    fallback: "",
    help: "Force (true) or avoid (false) a model's Go template",
  },
  DEBUG: {
    ...both,
    kind: "text",
    fallback: "",
    help: "Log level: 1 debug, 2 trace, -1 warnings, -2 errors",
  },
  LOG: {
    ...own,
    kind: "text",
    fallback: "text",
    help: "Form of the log: text, or json for one JSON object a line",
  },
  DRAIN_TIMEOUT: {
    ...own,
    reader: "server",
    kind: "duration",
    fallback: "30s",
    help: "How long running answers may go on after the first SIGTERM or SIGINT",
  },
  FORMAT_RETRIES: {
    ...own,
    reader: "server",
    kind: "count",
    fallback: "2",
    help: "Further tries when an answer without streaming does not keep to its format",
  },
  NOHISTORY: {
    ...client,
    kind: "bool",
    fallback: "false",
    help: "Keep no history of the interactive prompt",
  },
  EDITOR: {
    ...client,
    kind: "text",
    fallback: "vi",
    help: "Editor for Ctrl + g in a chat (then VISUAL, EDITOR)",
  },
  NO_CLOUD: {
    ...server,
    kind: "bool",
    fallback: "true",
    help: "Accepted for compatibility; hutch never contacts ollama.com",
  },
  TRANSFER_STALL: {
    ...own,
    reader: "server",
    kind: "duration",
    fallback: "30s",
    help: "Longest silence of a registry before a transfer is tried again",
  },
  CACHE: {
    ...own,
    kind: "text",
    fallback: "",
    help: "Folder for unpacked libraries (default: the user's cache folder)",
  },
  STALL_TIMEOUT: {
    ...own,
    reader: "server",
    kind: "duration",
    fallback: "5m",
    help: "Longest silence of a runner that has work, before it is replaced (0 or less: any)",
  },
  QUEUE_TIMEOUT: {
    ...own,
    reader: "server",
    kind: "duration",
    fallback: "0",
    help: "Longest wait of a request for a free slot (0: any)",
  },
  FIRST_TOKEN_TIMEOUT: {
    ...own,
    reader: "server",
    kind: "duration",
    fallback: "0",
    help: "Longest wait of a request with a slot for its first token (0: any)",
  },
  TOKEN_TIMEOUT: {
    ...own,
    reader: "server",
    kind: "duration",
    fallback: "0",
    help: "Longest wait for the next token of an answer (0: any)",
  },
  REQUEST_TIMEOUT: {
    ...own,
    reader: "server",
    kind: "duration",
    fallback: "0",
    help: "Longest time of a request as a whole (0: any)",
  },
  PREFIX_CACHE: {
    ...own,
    reader: "server",
    kind: "bytes",
    fallback: "2G",
    help: "Most bytes of evaluated prompts kept on disk, in the cache folder (0: none)",
  },
  LIBRARY_PATH: {
    ...own,
    kind: "text",
    fallback: "",
    help: "Folder of the native libraries to use instead of the built-in ones",
  },
  VERSION_REPORTED: {
    ...own,
    reader: "server",
    kind: "text",
    fallback: "0.33.0",
    help: "Version that the Ollama API reports",
  },
} as const satisfies Record<string, Variable>;

export type VariableName = keyof typeof variables;
