/**
 * Prompts with a common beginning, hutch against llama-server of the same source in the same run:
 * `bun bench/prefix.ts --model FILE.gguf [--tokens 2048] [--clients 8] [--rounds 3]`. Three things: clients
 * that come at once with one long prefix, cold and warm, until the last one's first token; a conversation
 * of ten turns with six others between its turns; a long prompt after a restart, from the cache on disk.
 * Models are made by `bun bench/model.ts`, the peer by `bun build.ts --peers`.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  createModel,
  lines,
  startServer,
  type TestServer,
  temporaryFolder,
} from "../test/support/executable.ts";
import { type Peer, startPeer } from "./peer.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    tokens: { type: "string", default: "2048" },
    clients: { type: "string", default: "8" },
    rounds: { type: "string", default: "3" },
    peers: { type: "string", default: join(import.meta.dir, "../dist/peers") },
  },
});
if (values.model === undefined) {
  console.error("usage: bun bench/prefix.ts --model FILE.gguf [--tokens 2048] [--clients 8]");
  process.exit(2);
}
const { model } = values;
const clients = Number(values.clients);
const contextLength = 4096;

/** About so many tokens of text; another salt gives another text from the first token on. */
function textOf(tokens: number, salt: string): string {
  return `${salt} ${"river stone lamp window bread garden winter paper bridge cloud ".repeat(Math.ceil(tokens / 10))}`
    .split(" ")
    .slice(0, tokens)
    .join(" ");
}

/** What one request cost: milliseconds to the first token, tokens of the prompt that were evaluated. */
interface Cost {
  readonly first: number;
  readonly evaluated: number;
}

type Ask = (prompt: string, predict: number) => Promise<Cost>;

function hutch(server: TestServer): Ask {
  return async (prompt, predict) => {
    const since = performance.now();
    const body = {
      model: "model",
      prompt,
      raw: true,
      options: { temperature: 0, num_ctx: contextLength, num_predict: predict, stop: [] },
    };
    const answer = await server.post("/api/generate", body, { headers: { "x-hutch-extras": "1" } });
    if (!answer.ok) throw new Error(`status ${answer.status}: ${await answer.text()}`);
    let first = 0;
    let last: Record<string, unknown> = {};
    for await (const line of lines(answer)) {
      if (first === 0) first = performance.now() - since;
      last = line;
    }
    if (last.done !== true) throw new Error(`no final object: ${JSON.stringify(last)}`);
    const cached = Number(last.prompt_cached_count ?? 0);
    return { first, evaluated: Number(last.prompt_eval_count) - cached };
  };
}

function llamaServer({ url }: Peer): Ask {
  return async (prompt, predict) => {
    const since = performance.now();
    const body = { prompt, n_predict: predict, temperature: 0, stream: true, cache_prompt: true };
    // Its idle connections are closed after seconds, just when the next request may use them.
    const answer = await fetch(`${url}/completion`, {
      method: "POST",
      body: JSON.stringify(body),
      keepalive: false,
    });
    if (!answer.ok) throw new Error(`status ${answer.status}: ${await answer.text()}`);
    let first = 0;
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of answer.body ?? []) {
      if (first === 0) first = performance.now() - since;
      text += decoder.decode(chunk, { stream: true });
    }
    const evaluated = /"prompt_n":(\d+)/.exec(text)?.[1];
    if (evaluated === undefined) throw new Error("llama-server told no timings");
    return { first, evaluated: Number(evaluated) };
  };
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(3)} s`;
const sum = (numbers: readonly number[]) => numbers.reduce((all, each) => all + each, 0);
const least = (numbers: readonly number[]) => Math.min(...numbers);

/** Milliseconds until the last of several clients has its first token. */
async function together(ask: Ask, prefix: string, salt: number): Promise<number> {
  const each = Array.from({ length: clients }, (_, i) => ask(`${prefix} ${salt} client ${i}`, 4));
  return Math.max(...(await Promise.all(each)).map(({ first }) => first));
}

/** Cold and warm times of one side, the best of all rounds. */
async function shared(ask: Ask, name: string): Promise<{ cold: number; warm: number }> {
  const cold: number[] = [];
  const warm: number[] = [];
  for (let i = 0; i < Number(values.rounds); i++) {
    const prefix = textOf(Number(values.tokens), `round ${i}`);
    cold.push(await together(ask, prefix, 1));
    warm.push(await together(ask, prefix, 2));
  }
  const best = { cold: least(cold), warm: least(warm) };
  console.log(
    `${name.padEnd(14)} ${clients} clients, one prefix: cold ${seconds(best.cold)}, warm ${seconds(best.warm)}`,
  );
  return best;
}

const turns = 10;
const others = 6;

/** Prompt tokens that a conversation's turns evaluate after the first one, and their time to a token. */
async function conversation(ask: Ask, name: string): Promise<Cost> {
  const texts = Array.from({ length: others + 1 }, (_, i) => textOf(300, `talk ${i}`));
  const costs: Cost[] = [];
  for (let turn = 0; turn < turns; turn++) {
    for (let i = 0; i <= others; i++) {
      const text = `${texts[i]} ${textOf(20, `turn ${turn}`)}`;
      texts[i] = text;
      const cost = await ask(text, 8);
      if (i === 0 && turn > 0) costs.push(cost);
    }
  }
  const whole = {
    first: sum(costs.map(({ first }) => first)) / costs.length,
    evaluated: sum(costs.map(({ evaluated }) => evaluated)) / costs.length,
  };
  console.log(
    `${name.padEnd(14)} ${turns} turns with ${others} others between: ${whole.evaluated.toFixed(0)} prompt tokens a turn, first token ${seconds(whole.first)}`,
  );
  return whole;
}

const ratio = (what: string, own: number, other: number) =>
  console.log(`ratio ${what} ${(own / other).toFixed(2)}\n`);

await using home = await temporaryFolder();
{
  await using server = await startServer({ home: home.path });
  await createModel(server, "model", model);
  await using peer = await startPeer(values.peers, model, clients, { contextLength });
  const [own, other] = [hutch(server), llamaServer(peer)];
  await own("warm up", 1);
  await other("warm up", 1);
  const theirs = await shared(other, "llama-server");
  peer.sleep();
  const ours = await shared(own, "hutch");
  peer.wake();
  ratio("cold", ours.cold, theirs.cold);
  ratio("warm", ours.warm, theirs.warm);
  const theirTalk = await conversation(other, "llama-server");
  peer.sleep();
  const ourTalk = await conversation(own, "hutch");
  ratio("first token of a turn", ourTalk.first, theirTalk.first);
}
const long = textOf(2000, "system");
let cold = 0;
{
  await using server = await startServer({ home: home.path });
  const ask = hutch(server);
  await ask("warm up", 1);
  cold = (await ask(`${long} first`, 1)).first;
  await ask("something else", 1);
  // Idle models write what they hold; a server that is asked to end waits for its runners no longer.
  await Bun.sleep(3000);
  await server.stop();
}
await using server = await startServer({ home: home.path });
const ask = hutch(server);
await ask("warm up", 1);
const again = await ask(`${long} second`, 1);
console.log(
  `after a restart: ${again.evaluated} prompt tokens evaluated, first token ${seconds(again.first)}, cold ${seconds(cold)}`,
);
ratio("restart", again.first, cold);
