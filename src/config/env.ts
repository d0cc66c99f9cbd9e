/**
 * Reads the environment once, by the table in `variables.ts`, into a frozen `Config`. The only file
 * that touches `process.env`. Precedence everywhere: request > Modelfile > environment > default.
 */
import { durationOrSeconds, longestDuration } from "./duration.ts";
import type { ProxySettings } from "./proxy.ts";
import { type VariableName, variables } from "./variables.ts";

/** A snapshot of the environment, resolved. Durations are nanoseconds, -1n meaning for ever. */
export interface Config {
  /** Text of HOST as given; `config/host.ts` takes it apart. */
  readonly host: string;
  /** Whether HOST was set by the user (a client then never works without that server). */
  readonly hostGiven: boolean;
  readonly modelsFolder: string;
  /** `~/.ollama`: keys and history; MODELS does not move it. */
  readonly homeFolder: string;
  readonly keepAliveNs: bigint;
  readonly contextLength: number;
  readonly parallel: number;
  readonly maxLoadedModels: number;
  /** Most bytes of all loaded models together; 0 = what the machine has. */
  readonly memoryBytes: number;
  readonly maxQueue: number;
  readonly loadTimeoutNs: bigint;
  readonly flashAttention: boolean | undefined;
  readonly kvCacheType: string;
  /** Whether runners multiply in hutch's own way (ffi/kernels) where it has one. */
  readonly kernels: boolean;
  /** Results that do not depend on what else is evaluated. */
  readonly deterministic: boolean;
  readonly origins: readonly string[];
  readonly noPrune: boolean;
  readonly goTemplate: boolean | undefined;
  /** Answers carry the additional fields without being asked (docs/additions.md). */
  readonly extras: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: "text" | "json";
  /** How long running answers may go on when the server is asked to end. */
  readonly drainTimeoutNs: bigint;
  /** Further tries when an answer breaks its format. */
  readonly formatRetries: number;
  readonly noHistory: boolean;
  /** Command line of the editor that a chat opens. */
  readonly editor: string;
  /** NO_COLOR is set: no colours, in whatever terminal. */
  readonly noColor: boolean;
  /** Parent of the folder with unpacked libraries; undefined when no home is known. */
  readonly cacheFolder: string | undefined;
  readonly tempFolder: string;
  readonly libraryFolder: string | undefined;
  readonly stallTimeoutNs: bigint;
  /** How long a request may wait for its slot, its first token, the next one, its end; 0 = any time. */
  readonly deadlines: {
    readonly queue: bigint;
    readonly firstToken: bigint;
    readonly token: bigint;
    readonly request: bigint;
  };
  /** Most bytes of evaluated prompts on disk; 0 = none. */
  readonly prefixCacheBytes: number;
  /** Version that `/api/version` reports; clients parse it (api.md 12). */
  readonly reportedVersion: string;
  /** How registries are reached. */
  readonly proxies: ProxySettings;
  /** Longest silence of a registry before a transfer is tried again, milliseconds. */
  readonly transferStallMs: number;
  /** What was wrong with the environment, for the log. */
  readonly warnings: readonly string[];
}

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

export type Environment = Readonly<Record<string, string | undefined>>;

/** White space and surrounding quotes go; empty is unset (env.md 1). */
function clean(text: string | undefined): string | undefined {
  const cleaned = text?.trim().replace(/^["']+|["']+$/g, "");
  return cleaned === "" ? undefined : cleaned;
}

/** Go's words for true and false; any other text is true (env.md 1). */
function parseBool(text: string): boolean {
  return !["0", "f", "F", "false", "FALSE", "False"].includes(text);
}

/** How values of each kind are read; what is wrong with one goes to `warnings`. */
function readers(env: Environment, warnings: string[]) {
  const raw = (name: VariableName): string | undefined =>
    clean(env[`HUTCH_${name}`]) ??
    (variables[name].ollama ? clean(env[`OLLAMA_${name}`]) : undefined);
  const text = (name: VariableName): string => raw(name) ?? variables[name].fallback;
  const complain = (name: VariableName): void => {
    warnings.push(
      `invalid environment variable, using default: ${name}="${text(name)}", default ${variables[name].fallback}`,
    );
  };
  return {
    raw,
    text,
    bool: (name: VariableName): boolean => parseBool(text(name)),
    tristate(name: VariableName): boolean | undefined {
      const value = raw(name);
      return value === undefined ? undefined : parseBool(value);
    },
    count(name: VariableName): number {
      const value = text(name);
      if (/^\d+$/.test(value) && Number(value) <= Number.MAX_SAFE_INTEGER) return Number(value);
      complain(name);
      return Number(variables[name].fallback);
    },
    bytes(name: VariableName): number {
      const given = parseBytes(text(name));
      if (given !== undefined) return given;
      complain(name);
      return parseBytes(variables[name].fallback) ?? 0;
    },
    duration(name: VariableName): bigint {
      const given = durationOrSeconds(text(name));
      if (given === undefined) complain(name);
      const ns = given ?? durationOrSeconds(variables[name].fallback);
      if (ns === undefined) throw new Error(`default of ${name} is no duration`);
      return ns < 0n || ns >= longestDuration ? -1n : ns;
    },
    logFormat(): "text" | "json" {
      const value = text("LOG").toLowerCase();
      if (value === "text" || value === "json") return value;
      complain("LOG");
      return "text";
    },
  };
}

/** Resolves an environment; a bad value falls back to its default with a warning. */
export function readConfig(env: Environment = process.env): Config {
  const warnings: string[] = [];
  const { raw, text, bool, tristate, count, bytes, duration, logFormat } = readers(env, warnings);
  if (bytes("GPU_OVERHEAD") > 0) {
    warnings.push(
      `environment variable without effect: GPU_OVERHEAD="${text("GPU_OVERHEAD")}"; choose the layers on a GPU by num_gpu`,
    );
  }
  const home = clean(env.HOME) ?? clean(env.USERPROFILE);
  const homeFolder = `${home ?? "."}/.ollama`;
  return Object.freeze({
    host: text("HOST"),
    hostGiven: raw("HOST") !== undefined,
    modelsFolder: raw("MODELS") ?? `${homeFolder}/models`,
    homeFolder,
    keepAliveNs: duration("KEEP_ALIVE"),
    contextLength: count("CONTEXT_LENGTH"),
    parallel: count("NUM_PARALLEL"),
    maxLoadedModels: count("MAX_LOADED_MODELS"),
    memoryBytes: bytes("MEMORY"),
    maxQueue: count("MAX_QUEUE"),
    loadTimeoutNs: duration("LOAD_TIMEOUT"),
    flashAttention: tristate("FLASH_ATTENTION"),
    kvCacheType: text("KV_CACHE_TYPE").toLowerCase(),
    kernels: bool("KERNELS"),
    deterministic: bool("DETERMINISTIC"),
    origins: raw("ORIGINS")?.split(",") ?? [],
    noPrune: bool("NOPRUNE"),
    goTemplate: tristate("GO_TEMPLATE"),
    extras: bool("EXTRAS"),
    logLevel: parseLogLevel(raw("DEBUG")),
    logFormat: logFormat(),
    drainTimeoutNs: duration("DRAIN_TIMEOUT"),
    formatRetries: count("FORMAT_RETRIES"),
    noHistory: bool("NOHISTORY"),
    editor: raw("EDITOR") ?? clean(env.VISUAL) ?? clean(env.EDITOR) ?? variables.EDITOR.fallback,
    noColor: clean(env.NO_COLOR) !== undefined,
    cacheFolder: raw("CACHE") ?? userCacheFolder(env, home),
    tempFolder: clean(env.TMPDIR) ?? clean(env.TEMP) ?? "/tmp",
    libraryFolder: raw("LIBRARY_PATH"),
    stallTimeoutNs: duration("STALL_TIMEOUT"),
    deadlines: {
      queue: duration("QUEUE_TIMEOUT"),
      firstToken: duration("FIRST_TOKEN_TIMEOUT"),
      token: duration("TOKEN_TIMEOUT"),
      request: duration("REQUEST_TIMEOUT"),
    },
    prefixCacheBytes: bytes("PREFIX_CACHE"),
    reportedVersion: text("VERSION_REPORTED"),
    proxies: proxySettings(env),
    transferStallMs: stallMs(duration("TRANSFER_STALL")),
    warnings,
  });
}

/** For ever is a day: a transfer never hangs. Less than 100 ms would be no time to answer in. */
function stallMs(ns: bigint): number {
  const day = 86_400_000;
  return ns < 0n ? day : Math.min(day, Math.max(100, Number(ns / 1_000_000n)));
}

/** Upper case wins, as in most programs. */
function proxySettings(env: Environment): ProxySettings {
  const except = clean(env.NO_PROXY) ?? clean(env.no_proxy) ?? "";
  return {
    http: clean(env.HTTP_PROXY) ?? clean(env.http_proxy),
    https: clean(env.HTTPS_PROXY) ?? clean(env.https_proxy),
    except: except.split(/[\s,]+/).filter((entry) => entry !== ""),
  };
}

/** `1500000000`, `512M`, `6G`, `6GiB`: powers of 1,024; undefined when it is none of these. */
function parseBytes(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:i?B)?|B)?$/i.exec(text) ?? [];
  if (number === undefined) return undefined;
  const power = unit === undefined ? 0 : "KMGT".indexOf(unit.toUpperCase()) + 1;
  const bytes = Math.floor(Number(number) * 1024 ** power);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** DEBUG: a bool word, or an integer that steps through the levels (env.md 6). */
function parseLogLevel(text: string | undefined): LogLevel {
  if (text === undefined) return "info";
  if (/^-?\d+$/.test(text)) {
    const steps = Math.max(-2, Math.min(2, Number(text)));
    return (["error", "warn", "info", "debug", "trace"] as const)[steps + 2] ?? "info";
  }
  return parseBool(text) ? "debug" : "info";
}

function userCacheFolder(env: Environment, home: string | undefined): string | undefined {
  const xdg = clean(env.XDG_CACHE_HOME);
  if (xdg !== undefined) return `${xdg}/hutch`;
  if (process.platform === "win32") {
    const local = clean(env.LOCALAPPDATA);
    return local === undefined ? undefined : `${local}\\hutch\\cache`;
  }
  if (home === undefined) return undefined;
  return process.platform === "darwin" ? `${home}/Library/Caches/hutch` : `${home}/.cache/hutch`;
}

/**
 * The environment that a child process of hutch gets: this process's own. Children are handed what
 * they need by message; the rest (GPU selection, library paths) they inherit.
 */
export function childEnvironment(): Environment {
  const { NOTIFY_SOCKET: _, ...rest } = process.env;
  return rest;
}

/** The environment of this process. */
export function ownEnvironment(): Environment {
  return process.env;
}

/** Environment of a program that tells the service manager something; undefined where there is none to tell. */
export function notifyEnvironment(): Environment | undefined {
  return clean(process.env.NOTIFY_SOCKET) === undefined ? undefined : process.env;
}
