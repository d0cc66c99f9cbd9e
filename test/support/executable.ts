/**
 * The compiled executable under test, started in a home of its own. `HUTCH_TEST_BIN` names another
 * executable; without either the e2e suites skip, visibly. Nothing here sleeps: it waits for
 * conditions.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { until } from "./until.ts";

const root = resolve(import.meta.dir, "../..");

/** Path of the executable; tests check `haveExecutable` first. */
export const executable: string = process.env.HUTCH_TEST_BIN ?? join(root, "dist/hutch");
export const haveExecutable: boolean = existsSync(executable);

/** Real models for tests live beside the checkout; undefined where they are missing. */
export function testModel(
  name: "stories260K-f32.gguf" | "tinytalk-3m-q4_0.gguf",
): string | undefined {
  const path = resolve(root, "../shared/data/llm", name);
  return existsSync(path) ? path : undefined;
}

/** A temporary folder that goes away with the test. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "hutch-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export { until };

/** The environment of a child: the home given, none of this shell's settings for the server. */
export function cleanEnvironment(
  home: string,
  extra: Record<string, string> = {},
): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^(HUTCH|OLLAMA)_|^XDG_/.test(name)) kept[name] = value;
  }
  return { ...kept, HOME: home, TZ: "UTC", ...extra };
}

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  readonly home: string;
  /** What the server has written to stderr so far. */
  log(): string;
  /** Its exit code once it has ended, null when a signal ended it. */
  exitCode(): number | null | undefined;
  /** Ends it with a signal and waits. Returns the exit code, null when the signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  request(method: string, path: string, body?: unknown, init?: RequestInit): Promise<Response>;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

/** Starts `hutch serve` on a free port and waits until it says that it listens. */
export async function startServer(
  options: {
    home?: string;
    env?: Record<string, string>;
    flags?: readonly string[];
    /** Another executable than the one under test. */
    binary?: string;
    /** Arguments before its own, of a program that becomes it. */
    prefix?: readonly string[];
  } = {},
): Promise<TestServer> {
  const own = options.home === undefined ? await temporaryFolder() : undefined;
  const home = options.home ?? own?.path ?? "";
  const { binary = executable, flags = [], prefix = [] } = options;
  const child = Bun.spawn([...prefix, binary, "serve", ...flags], {
    env: cleanEnvironment(home, { HUTCH_HOST: "127.0.0.1:0", ...options.env }),
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  let log = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) log += decoder.decode(chunk, { stream: true });
  })();
  const listening = () => /Listening on (?:http:\/\/)?([\d.]+:\d+)/.exec(log)?.[1];
  await until(`server says that it listens; it said:\n${log}`, () => {
    if (child.exitCode !== null) throw new Error(`server ended with ${child.exitCode}:\n${log}`);
    return listening() !== undefined;
  });
  const url = `http://${listening()}`;
  const request: TestServer["request"] = (method, path, body, init = {}) =>
    fetch(url + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...init,
    });
  const stop: TestServer["stop"] = async (signal = "SIGTERM") => {
    child.kill(signal);
    await child.exited;
    await reading;
    return child.signalCode === null ? child.exitCode : null;
  };
  return {
    url,
    pid: child.pid,
    home,
    log: () => log,
    exitCode: () =>
      child.signalCode !== null ? null : child.exitCode === null ? undefined : child.exitCode,
    stop,
    request,
    post: (path, body, init) => request("POST", path, body, init),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) await stop("SIGKILL");
      await own?.[Symbol.asyncDispose]();
    },
  };
}

/** Uploads a blob over HTTP. Returns its digest. */
export async function uploadBlob(server: TestServer, bytes: Uint8Array): Promise<string> {
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
  const upload = await fetch(`${server.url}/api/blobs/${digest}`, { method: "POST", body: bytes });
  if (!upload.ok) throw new Error(`upload of a blob: ${upload.status} ${await upload.text()}`);
  return digest;
}

/** Uploads a GGUF and makes a model of it, over HTTP. */
export async function createModel(
  server: TestServer,
  name: string,
  path: string,
  more: Record<string, unknown> = {},
): Promise<void> {
  const digest = await uploadBlob(server, await Bun.file(path).bytes());
  const answer = await server.post("/api/create", {
    model: name,
    files: { "model.gguf": digest },
    stream: false,
    ...more,
  });
  if (!answer.ok) throw new Error(`create ${name}: ${answer.status} ${await answer.text()}`);
}

/** The objects of an NDJSON answer, as they arrive. */
export async function* lines(answer: Response): AsyncGenerator<Record<string, unknown>> {
  if (answer.body === null) return;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of answer.body) {
    rest += decoder.decode(chunk, { stream: true });
    const parts = rest.split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) yield JSON.parse(part) as Record<string, unknown>;
  }
  if (rest !== "") throw new Error(`stream ended in the middle of a line: ${rest}`);
}

/** Process ids of the children of a process, from /proc (Linux). */
export async function childrenOf(pid: number): Promise<number[]> {
  const tasks = new Bun.Glob("*/children").scan({ cwd: `/proc/${pid}/task`, onlyFiles: true });
  const found: number[] = [];
  try {
    for await (const task of tasks) {
      const text = await Bun.file(`/proc/${pid}/task/${task}`).text();
      found.push(...text.split(" ").filter(Boolean).map(Number));
    }
  } catch {
    return found; // the process ended while we looked
  }
  return found;
}

/**
 * Waits for a runner of a server. It is one as soon as it has its own command line; before that it shares
 * the server's memory, and the server stands still until it has its own (vfork).
 */
export async function runnerOf(server: TestServer): Promise<number> {
  let found = 0;
  await until("a runner begins", async () => {
    for (const pid of await childrenOf(server.pid)) {
      const line = await Bun.file(`/proc/${pid}/cmdline`)
        .text()
        .catch(() => "");
      if (line.split("\0").includes("runner")) found = pid;
    }
    return found > 0;
  });
  return found;
}

/** Whether a process exists and is no zombie. */
export async function isRunning(pid: number): Promise<boolean> {
  const status = Bun.file(`/proc/${pid}/stat`);
  if (!(await status.exists())) return false;
  try {
    return !/^\d+ \(.*\) Z/.test(await status.text());
  } catch {
    return false;
  }
}
