/**
 * What a store with many models costs: `hutch list` with and without a server, `GET /api/tags` warm and
 * as the first request of a server. Prints medians with minimum and maximum; anyone can run it:
 * `bun bench/list.ts [--models 300] [--rounds 15]`.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { silentLogger } from "../src/logger.ts";
import { parseName } from "../src/model/name.ts";
import { Store } from "../src/model/store.ts";
import {
  cleanEnvironment,
  executable,
  startServer,
  temporaryFolder,
} from "../test/support/executable.ts";
import { ggufBytes, tinyLlama } from "../test/support/gguf.ts";

const { values } = parseArgs({
  options: {
    models: { type: "string", default: "300" },
    rounds: { type: "string", default: "15" },
  },
});
const count = Number(values.models);
const rounds = Number(values.rounds);

/** A vocabulary as long as those of small models: heads of real files are not short. */
const words = Array.from({ length: 32_000 }, (_, i) => `word${i}`);

/** Stores models that share nothing but their vocabulary's size. */
function fill(folder: string): void {
  const store = new Store(folder, { noPrune: true, logger: silentLogger });
  const config = store.putBytes(
    JSON.stringify({ model_format: "gguf", model_family: "llama", model_type: "1M" }),
    "application/vnd.docker.container.image.v1+json",
  ).layer;
  for (let i = 0; i < count; i++) {
    const metadata = { ...tinyLlama, "general.name": `model ${i}`, "tokenizer.ggml.tokens": words };
    const bytes = ggufBytes({ metadata });
    const { layer } = store.putBytes(bytes, "application/vnd.ollama.image.model");
    store.writeManifest(parseName(`family${i % 20}:v${i}`), config, [layer]);
  }
}

async function report(name: string, measure: () => Promise<number>): Promise<void> {
  const figures: number[] = [];
  for (let round = 0; round < rounds; round++) figures.push(await measure());
  figures.sort((a, b) => a - b);
  const at = (share: number) => (figures[Math.floor(share * (figures.length - 1))] ?? 0).toFixed(1);
  console.log(`${name.padEnd(52)} ${at(0.5)} ms  (${at(0)} to ${at(1)}, ${rounds} rounds)`);
}

await using home = await temporaryFolder();
fill(join(home.path, ".ollama/models"));
const cache = join(home.path, ".cache");

async function list(host: string): Promise<number> {
  const start = performance.now();
  const child = Bun.spawn([executable, "list"], {
    env: cleanEnvironment(home.path, host === "" ? { HUTCH_HOST: "" } : { HUTCH_HOST: host }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await new Response(child.stdout).text();
  await child.exited;
  const took = performance.now() - start;
  const rows = text.trimEnd().split("\n").length - 1;
  if (rows !== count) throw new Error(`list shows ${rows} models`);
  return took;
}

/** Milliseconds of the first `tags` of a server that has just begun to listen. */
async function firstTags(): Promise<number> {
  await using server = await startServer({ home: home.path });
  return await tags(server.url);
}

async function tags(url: string): Promise<number> {
  const start = performance.now();
  const { models } = (await (await fetch(`${url}/api/tags`)).json()) as { models: unknown[] };
  const took = performance.now() - start;
  if (models.length !== count) throw new Error(`tags lists ${models.length} models`);
  return took;
}

console.log(`${count} models`);
await report("hutch list without a server, nothing cached", () => {
  rmSync(cache, { recursive: true, force: true });
  return list("");
});
await report("hutch list without a server", () => list(""));
await report("GET /api/tags, first of a server, nothing cached", () => {
  rmSync(cache, { recursive: true, force: true });
  return firstTags();
});
await report("GET /api/tags, first of a server", firstTags);
{
  await using server = await startServer({ home: home.path });
  await tags(server.url);
  await report("hutch list with a server", () => list(server.url));
  await report("GET /api/tags, warm", () => tags(server.url));
}
