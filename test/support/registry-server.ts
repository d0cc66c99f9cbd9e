/**
 * A real OCI registry for tests: Debian's `docker-registry` on a free loopback port, storage in a
 * folder of its own; and, when the recordings lie beside the checkout, the fault proxy before it. Both
 * are used when they are there; tests skip visibly without.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { until } from "./executable.ts";

const proxyScript = resolve(import.meta.dir, "../../../shared/golden/models/fault-proxy.ts");

export const registryBinary: string | undefined = Bun.which("docker-registry") ?? undefined;
export const haveFaultProxy: boolean = existsSync(proxyScript);

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function answers(host: string, path: string): Promise<boolean> {
  try {
    return (await fetch(`http://${host}${path}`, { proxy: "" })).ok;
  } catch {
    return false;
  }
}

export interface RegistryServer extends AsyncDisposable {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** Its storage. */
  readonly folder: string;
}

export async function startRegistry(): Promise<RegistryServer> {
  if (registryBinary === undefined) throw new Error("docker-registry is not installed");
  const folder = mkdtempSync(join(tmpdir(), "hutch-registry-"));
  const host = `127.0.0.1:${await freePort()}`;
  const config = join(folder, "config.yml");
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${folder}/data}, delete: {enabled: true}}\nhttp: {addr: "${host}", secret: test}\n`,
  );
  const child = Bun.spawn([registryBinary, "serve", config], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  await until("the registry answers", () => answers(host, "/v2/"));
  return {
    host,
    folder,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface LogEntry {
  readonly listener: "registry" | "blob";
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly status: number;
  readonly sent: number;
  readonly ended: string;
  readonly signature?: string;
}

/** A rule of the fault proxy; see its own description. */
export interface FaultRule {
  readonly match: Readonly<Record<string, unknown>>;
  readonly fault: Readonly<Record<string, unknown>>;
}

export interface FaultProxy extends AsyncDisposable {
  readonly host: string;
  /** Sets rules and authentication, and clears the log. */
  set(rules: readonly FaultRule[], auth?: Readonly<Record<string, unknown>>): Promise<void>;
  log(): Promise<LogEntry[]>;
}

export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const host = `127.0.0.1:${await freePort()}`;
  const blobs = `127.0.0.1:${await freePort()}`;
  const argv = ["--listen", host, "--blob-listen", blobs, "--upstream", upstream];
  const child = Bun.spawn([process.execPath, proxyScript, ...argv], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  const control = (method: string, path: string, body?: unknown) =>
    fetch(`http://${host}${path}`, {
      method,
      proxy: "",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  await until("the fault proxy answers", () => answers(host, "/_fault"));
  return {
    host,
    async set(rules, auth) {
      await control("DELETE", "/_fault");
      await control("PUT", "/_fault", { rules, auth: auth ?? null });
    },
    log: async () => ((await (await control("GET", "/_fault")).json()) as { log: LogEntry[] }).log,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
