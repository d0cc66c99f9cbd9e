/**
 * Embeddings through HTTP against llama-server of the same source: short texts in requests of 1, 8, 64
 * and 256, one after the other, and requests of 1 by eight clients; in interleaved rounds, as ratios:
 * `bun bench/embed.ts --model FILE.gguf [--texts N] [--rounds N] [--threads N]`. The model is one that
 * makes embeddings (`bun bench/model.ts FILE.gguf --small --embeds`). The peer is built by
 * `bun build.ts --peers`, or lies in the folder `--peers DIR`; without it hutch alone is measured.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createModel, startServer } from "../test/support/executable.ts";
import { startPeer } from "./peer.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    texts: { type: "string", default: "1000" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    peers: { type: "string", default: join(import.meta.dir, "../dist/peers") },
  },
});
if (values.model === undefined) {
  console.error("usage: bun bench/embed.ts --model FILE.gguf [--texts N] [--rounds N]");
  process.exit(2);
}
const { model, threads } = values;

const words = "the quick brown fox jumps over a lazy dog while seven small birds sing".split(" ");
const texts = Array.from({ length: Number(values.texts) }, (_, i) =>
  Array.from({ length: 5 + (i % 9) }, (_, at) => words[(i * 5 + at * 3) % words.length]).join(" "),
);

/** Requests of so many texts, by so many clients at once. */
const shapes = [
  { size: 1, clients: 1 },
  { size: 8, clients: 1 },
  { size: 64, clients: 1 },
  { size: 256, clients: 1 },
  { size: 1, clients: 8 },
];

/** Sends texts to a server and says how many vectors came back. */
type Embed = (input: readonly string[]) => Promise<number>;

async function post(url: string, body: unknown): Promise<Record<string, unknown[]>> {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Record<string, unknown[]>;
}

/** Texts a second. */
async function rate(embed: Embed, size: number, clients: number): Promise<number> {
  const requests: string[][] = [];
  for (let at = 0; at < texts.length; at += size) requests.push(texts.slice(at, at + size));
  const since = performance.now();
  let vectors = 0;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      for (let next = requests.shift(); next !== undefined; next = requests.shift()) {
        const got = await embed(next);
        vectors += got;
      }
    }),
  );
  if (vectors !== texts.length) throw new Error(`${vectors} vectors for ${texts.length} texts`);
  return texts.length / ((performance.now() - since) / 1000);
}

await using server = await startServer();
await createModel(server, "model", model, { parameters: { num_thread: Number(threads) } });
const hutch: Embed = async (input) => {
  const { embeddings } = await post(`${server.url}/api/embed`, { model: "model", input });
  return embeddings?.length ?? 0;
};
const program = join(values.peers, "llama-server");
// As llama-server starts by itself, but with room for a whole request in a batch.
const args = ["-t", threads, "--embeddings", "-b", "2048", "-ub", "2048"];
await using peer = existsSync(program)
  ? await startPeer(values.peers, model, 4, { args })
  : undefined;
if (peer === undefined) console.log(`no peer at ${program}: bun build.ts --peers makes it`);
const theirs: Embed = async (input) =>
  (await post(`${peer?.url}/v1/embeddings`, { input })).data?.length ?? 0;

await rate(hutch, 64, 1);
if (peer !== undefined) await rate(theirs, 64, 1);
console.log("texts a request  clients   hutch /s  llama-server /s   ratio");
for (const { size, clients } of shapes) {
  let own = 0;
  let other = 0;
  for (let round = 0; round < Number(values.rounds); round++) {
    peer?.wake();
    if (peer !== undefined) other = Math.max(other, await rate(theirs, size, clients));
    peer?.sleep();
    own = Math.max(own, await rate(hutch, size, clients));
  }
  const cells = [
    size,
    clients,
    own.toFixed(0),
    other.toFixed(0),
    other > 0 ? (own / other).toFixed(3) : "-",
  ];
  const widths = [15, 7, 9, 15, 6];
  console.log(cells.map((cell, i) => String(cell).padStart(widths[i] ?? 0)).join("  "));
}
