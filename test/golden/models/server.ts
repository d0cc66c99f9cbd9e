/** A server for recorded cases: uploads, creates, and looks into its store. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startServer, type TestServer } from "../../support/executable.ts";

export interface Line {
  readonly status?: string;
  readonly error?: string;
  readonly digest?: string;
  readonly total?: number;
  readonly completed?: number;
}

export interface Created {
  readonly status: number;
  readonly lines: readonly Line[];
}

export interface CaseServer extends AsyncDisposable {
  readonly server: TestServer;
  /** Uploads files; name → digest. */
  upload(files: Readonly<Record<string, string>>): Promise<Record<string, string>>;
  create(request: Readonly<Record<string, unknown>>): Promise<Created>;
  /** Path of a blob by its digest. */
  blob(digest: string): string;
  /** Layers and configuration of a model, undefined when it is not stored. */
  manifest(name: string): Manifest | undefined;
}

export interface Manifest {
  readonly layers: readonly {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
  }[];
  readonly config: Readonly<Record<string, unknown>>;
}

export async function startCaseServer(): Promise<CaseServer> {
  const server = await startServer();
  const root = join(server.home, ".ollama/models");
  const blob = (digest: string) => join(root, "blobs", digest.replace(":", "-"));
  return {
    server,
    blob,
    async upload(files) {
      const digests: Record<string, string> = {};
      for (const [name, path] of Object.entries(files)) {
        const bytes = readFileSync(path);
        const digest = `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
        const init = { method: "POST", body: bytes };
        const answer = await fetch(`${server.url}/api/blobs/${digest}`, init);
        if (!answer.ok) throw new Error(`upload ${name}: ${answer.status} ${await answer.text()}`);
        digests[name] = digest;
      }
      return digests;
    },
    async create(request) {
      const answer = await server.post("/api/create", request);
      const text = await answer.text();
      const lines = text
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Line);
      return { status: answer.status, lines };
    },
    manifest(name) {
      const [model = "", tag = "latest"] = name.split(":");
      const path = join(root, "manifests/registry.ollama.ai/library", model, tag);
      if (!existsSync(path)) return undefined;
      const manifest = JSON.parse(readFileSync(path, "utf8"));
      return {
        layers: manifest.layers,
        config: JSON.parse(readFileSync(blob(manifest.config.digest), "utf8")),
      };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Without lines that only say how far something is. */
export function steps(lines: readonly Line[]): Line[] {
  return lines.filter(({ status }) => !status?.startsWith("quantizing "));
}
