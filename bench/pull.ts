/**
 * Throughput of a pull on loopback: `hutch pull` into an empty store, whole and verified, against one
 * stream of curl into a file followed by sha256sum. Prints both and their ratio (goal: at least 0.9).
 * `bun bench/pull.ts [--size MiB] [--rounds N]`; needs curl, sha256sum and `dist/hutch`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startServer } from "../test/support/executable.ts";

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "1024" },
    rounds: { type: "string", default: "5" },
    /** Serves the blobs of a folder instead of measuring: the registry is a process of its own. */
    serve: { type: "string" },
  },
});

const text = (content: string) => new TextEncoder().encode(content);
const sha256 = (bytes: Uint8Array) =>
  `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

/** A registry that serves one model from files, by the system's own file sending. */
function serveFolder(folder: string): void {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const file = Bun.file(join(folder, pathname.split("/").at(-1) ?? ""));
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
      if (first === undefined) return new Response(file);
      const part = file.slice(Number(first), Number(last) + 1);
      return new Response(part, {
        status: 206,
        headers: { "content-range": `bytes ${first}-${last}/${file.size}` },
      });
    },
  });
  console.log(server.port);
}

/** Writes a model of one big blob. Returns the blob's digest. */
async function publish(folder: string, mebibytes: number): Promise<string> {
  const big = new Uint8Array(mebibytes * 2 ** 20);
  for (let at = 0; at < big.length; at += 65_536)
    crypto.getRandomValues(big.subarray(at, at + 65_536));
  const config = text('{"model_format":"gguf"}');
  const entry = (bytes: Uint8Array, mediaType: string) => ({
    mediaType,
    digest: sha256(bytes),
    size: bytes.length,
  });
  const manifest = {
    schemaVersion: 2,
    config: entry(config, "application/vnd.docker.container.image.v1+json"),
    layers: [entry(big, "application/vnd.ollama.image.model")],
  };
  await Bun.write(join(folder, sha256(big)), big);
  await Bun.write(join(folder, sha256(config)), config);
  await Bun.write(join(folder, "latest"), JSON.stringify(manifest));
  return sha256(big);
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

async function shell(...argv: string[]): Promise<string> {
  const child = Bun.spawn(argv, { stdout: "pipe", stderr: "inherit" });
  const out = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")} failed`);
  return out;
}

const median = (figures: number[]) =>
  figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? 0;

async function measure(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "hutch-bench-"));
  const size = Number(values.size);
  const digest = await publish(folder, size);
  const argv = [process.execPath, import.meta.path, "--serve", folder];
  const registry = Bun.spawn(argv, { stdout: "pipe", stderr: "inherit" });
  const { value } = await registry.stdout.getReader().read();
  const host = `127.0.0.1:${new TextDecoder().decode(value).trim()}`;
  await using server = await startServer();
  const model = `${host}/u/m`;
  const curl: number[] = [];
  const hutch: number[] = [];
  try {
    for (let round = 0; round < Number(values.rounds); round++) {
      const out = join(folder, "out");
      curl.push(
        await seconds(async () => {
          await shell("curl", "-sS", "-o", out, `http://${host}/v2/u/m/blobs/${digest}`);
          const sum = await shell("sha256sum", out);
          if (`sha256:${sum.slice(0, 64)}` !== digest) throw new Error("curl got other bytes");
        }),
      );
      rmSync(out);
      hutch.push(
        await seconds(async () => {
          const answer = await server.post("/api/pull", { model, insecure: true, stream: false });
          const body = (await answer.json()) as { status?: string };
          if (body.status !== "success") throw new Error(JSON.stringify(body));
        }),
      );
      await server.request("DELETE", "/api/delete", { model });
    }
  } finally {
    registry.kill();
    await registry.exited;
    rmSync(folder, { recursive: true, force: true });
  }
  const rate = (figures: number[]) => size / median(figures);
  const line = (name: string, figures: number[]) =>
    console.log(
      `${name.padEnd(28)} ${rate(figures).toFixed(0)} MiB/s  (${figures.map((s) => s.toFixed(2)).join(", ")} s)`,
    );
  line("curl, then sha256sum", curl);
  line("hutch pull, verified", hutch);
  console.log(`ratio ${(rate(hutch) / rate(curl)).toFixed(2)} (goal 0.9)`);
}

if (values.serve === undefined) await measure();
else serveFolder(values.serve);
