/**
 * Many clients at once, hutch against llama-server of the same source in the same run:
 * `bun bench/clients.ts --model FILE.gguf [--clients 2,8,16,32] [--tokens N] [--rounds N]`. Prints for
 * each number of clients: tokens a second of all together, first token p50 and p99, the slowest client's
 * time over the fastest's. llama-server runs with 8 slots (the number of clients where that is smaller).
 * The peer is built by `bun build.ts --peers`.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createModel, startServer } from "../test/support/executable.ts";
import { startPeer } from "./peer.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    clients: { type: "string", default: "1,2,8,16,32" },
    tokens: { type: "string", default: "96" },
    rounds: { type: "string", default: "2" },
    peers: { type: "string", default: join(import.meta.dir, "../dist/peers") },
  },
});
if (values.model === undefined) {
  console.error("usage: bun bench/clients.ts --model FILE.gguf [--clients 2,8,32] [--tokens N]");
  process.exit(2);
}
const { model } = values;
const tokens = Number(values.tokens);

interface Client {
  readonly first: number;
  readonly whole: number;
  readonly count: number;
}

interface Round {
  readonly rate: number;
  readonly first: number[];
  readonly spread: number;
}

const words = "river stone lamp window bread garden winter paper bridge cloud".split(" ");

let salt = 0;

/** A prompt of about 35 tokens that shares no beginning worth a cache with others, of this round or before. */
function promptOf(client: number): string {
  const word = (i: number) =>
    words[Number(BigInt(Bun.hash(`${salt} ${client} ${i}`)) % BigInt(words.length))];
  return Array.from({ length: 30 }, (_, i) => word(i)).join(" ");
}

/** Reads a stream to its end; `pieces` counts what a chunk of it brought. */
async function read(
  answer: Response,
  since: number,
  pieces: (text: string) => number,
): Promise<Client> {
  if (!answer.ok || answer.body === null) throw new Error(`status ${answer.status}`);
  let first = 0;
  let count = 0;
  const decoder = new TextDecoder();
  for await (const chunk of answer.body) {
    count += pieces(decoder.decode(chunk, { stream: true }));
    if (first === 0 && count > 0) first = performance.now() - since;
  }
  return { first, whole: performance.now() - since, count };
}

async function round(clients: number, ask: (client: number, since: number) => Promise<Client>) {
  const since = performance.now();
  const all = await Promise.all(
    Array.from({ length: clients }, (_, i) => ask(i, performance.now())),
  );
  const seconds = (performance.now() - since) / 1000;
  const times = all.map(({ whole }) => whole).sort((a, b) => a - b);
  return {
    rate: (clients * tokens) / seconds,
    first: all.map(({ first }) => first).sort((a, b) => a - b),
    spread: (times.at(-1) ?? 0) / (times[0] ?? 1),
  };
}

function report(name: string, clients: number, { rate, first, spread }: Round): void {
  const at = (share: number) =>
    ((first[Math.ceil(share * first.length) - 1] ?? 0) / 1000).toFixed(2);
  console.log(
    `${name.padEnd(14)} ${String(clients).padStart(3)} clients  ${rate.toFixed(0).padStart(5)} tokens/s  first token p50 ${at(0.5)} s p99 ${at(0.99)} s  slowest/fastest ${spread.toFixed(2)}`,
  );
}

const best = (rounds: Round[]) => rounds.reduce((a, b) => (b.rate > a.rate ? b : a));

await using server = await startServer();
await createModel(server, "model", model);
const askHutch = async (client: number, since: number) =>
  read(
    await server.post("/api/generate", {
      model: "model",
      prompt: promptOf(client),
      raw: true,
      options: { temperature: 0, num_predict: tokens, stop: [] },
    }),
    since,
    (text) => text.split('"done":false').length - 1,
  );
await askHutch(0, 0);

for (const clients of values.clients.split(",").map(Number)) {
  await using peer = await startPeer(values.peers, model, Math.min(8, clients));
  const askPeer = async (client: number, since: number) =>
    read(
      await fetch(`${peer.url}/completion`, {
        method: "POST",
        // llama-server closes idle connections without a word.
        headers: { connection: "close" },
        body: JSON.stringify({
          prompt: promptOf(client),
          n_predict: tokens,
          temperature: 0,
          stream: true,
        }),
      }),
      since,
      (text) => text.split('"stop":false').length - 1,
    );
  await askPeer(0, 0);
  const own: Round[] = [];
  const other: Round[] = [];
  for (let i = 0; i < Number(values.rounds); i++) {
    salt++;
    other.push(await round(clients, askPeer));
    peer.sleep();
    own.push(await round(clients, askHutch));
    peer.wake();
  }
  report("llama-server", clients, best(other));
  report("hutch", clients, best(own));
  console.log(`ratio ${(best(own).rate / best(other).rate).toFixed(2)}\n`);
}
