/** How an environment becomes a configuration (env.md 1 and 2). */
import { expect, test } from "bun:test";
import { readConfig } from "../../../src/config/env.ts";

const home = { HOME: "/home/ada" };

test("an empty environment gives the defaults", () => {
  const { warnings, tempFolder, cacheFolder, ...config } = readConfig(home);
  expect(config).toEqual({
    host: "127.0.0.1:11434",
    hostGiven: false,
    modelsFolder: "/home/ada/.ollama/models",
    homeFolder: "/home/ada/.ollama",
    keepAliveNs: 300_000_000_000n,
    contextLength: 0,
    parallel: 0,
    maxLoadedModels: 0,
    memoryBytes: 0,
    deadlines: { queue: 0n, firstToken: 0n, token: 0n, request: 0n },
    maxQueue: 512,
    loadTimeoutNs: 300_000_000_000n,
    flashAttention: undefined,
    kvCacheType: "f16",
    kernels: true,
    deterministic: false,
    origins: [],
    noPrune: false,
    goTemplate: undefined,
    extras: false,
    logLevel: "info",
    stallTimeoutNs: 300_000_000_000n,
    prefixCacheBytes: 2 * 2 ** 30,
    logFormat: "text",
    drainTimeoutNs: 30_000_000_000n,
    formatRetries: 2,
    noHistory: false,
    editor: "vi",
    noColor: false,
    libraryFolder: undefined,
    reportedVersion: "0.33.0",
    proxies: { http: undefined, https: undefined, except: [] },
    transferStallMs: 30_000,
  });
  expect({ warnings, tempFolder }).toEqual({ warnings: [], tempFolder: "/tmp" });
  expect(cacheFolder).toContain("hutch");
});

test("HUTCH_X wins over OLLAMA_X, white space and quotes go, empty is unset", () => {
  expect(readConfig({ ...home, OLLAMA_MODELS: "/a", HUTCH_MODELS: ` "/b" ` }).modelsFolder).toBe(
    "/b",
  );
  expect(readConfig({ ...home, OLLAMA_MODELS: "/a", HUTCH_MODELS: "  " }).modelsFolder).toBe("/a");
});

test("keep-alive takes durations and seconds; negative is for ever; nonsense is the default", () => {
  const keepAlive = (text: string) => readConfig({ ...home, OLLAMA_KEEP_ALIVE: text }).keepAliveNs;
  expect(["1h30m", "90", "0", "-1", "-5m", "soon"].map(keepAlive)).toEqual([
    5_400_000_000_000n,
    90_000_000_000n,
    0n,
    -1n,
    -1n,
    300_000_000_000n,
  ]);
});

test("a bad duration warns and takes the default", () => {
  const { deadlines, warnings } = readConfig({ ...home, HUTCH_REQUEST_TIMEOUT: "soon" });
  expect({ request: deadlines.request, warnings }).toEqual({
    request: 0n,
    warnings: ['invalid environment variable, using default: REQUEST_TIMEOUT="soon", default 0'],
  });
});

test("a bad count warns and takes the default; any text is a true bool but the words for false", () => {
  const config = readConfig({ ...home, OLLAMA_MAX_QUEUE: "many", OLLAMA_NOPRUNE: "yes please" });
  expect(config.maxQueue).toBe(512);
  expect(config.warnings).toHaveLength(1);
  expect(config.noPrune).toBe(true);
  expect(readConfig({ ...home, OLLAMA_NOPRUNE: "False" }).noPrune).toBe(false);
  expect(readConfig({ ...home, OLLAMA_FLASH_ATTENTION: "auto" }).flashAttention).toBe(true);
});

test("DEBUG steps through the log levels", () => {
  const level = (text: string) => readConfig({ ...home, OLLAMA_DEBUG: text }).logLevel;
  expect(["0", "1", "2", "-1", "-2", "true", "false"].map(level)).toEqual([
    "info",
    "debug",
    "trace",
    "warn",
    "error",
    "debug",
    "info",
  ]);
});

test("bytes may carry a unit, in powers of 1,024", () => {
  const bytes = (text: string) => readConfig({ HUTCH_PREFIX_CACHE: text });
  expect(
    ["0", "1500", "512M", "1.5G", "6GiB", "6 gb", "2T"].map((text) => bytes(text).prefixCacheBytes),
  ).toEqual([0, 1500, 2 ** 29, 1.5 * 2 ** 30, 6 * 2 ** 30, 6 * 2 ** 30, 2 * 2 ** 40]);
  expect(bytes("lots").warnings).toEqual([
    'invalid environment variable, using default: PREFIX_CACHE="lots", default 2G',
  ]);
});

test("a variable without effect says so, when it is set", () => {
  expect(readConfig({ ...home, OLLAMA_GPU_OVERHEAD: "0" }).warnings).toEqual([]);
  expect(readConfig({ ...home, OLLAMA_GPU_OVERHEAD: "1G" }).warnings).toEqual([
    'environment variable without effect: GPU_OVERHEAD="1G"; choose the layers on a GPU by num_gpu',
  ]);
});
