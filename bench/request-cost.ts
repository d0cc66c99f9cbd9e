/**
 * What hutch adds to a model's own work: the fixed cost of a request on a loaded model, and the cost
 * of a streamed token. Run against any server that speaks Ollama's API and has the model:
 * `bun bench/request-cost.ts --base-url http://127.0.0.1:11434 --model NAME [--warm N] [--requests N]
 * [--tokens N] [--gguf FILE [--peers FOLDER] [--llama-bench PROGRAM]]`. Before the first `--warm` requests
 * (50) nothing counts; for the first thousand the slowest ones still meet JavaScript's compilers. With
 * `--peers dist/peers` llama-server answers the same prompt in turns with the server, so that both see
 * the same machine. With llama-bench the cost of a token is what it takes beyond llama-bench's; without,
 * what it takes beyond the evaluation time that the server reports.
 */
import { parseArgs } from "node:util";
import { type Peer, peerEnvironment, startPeer } from "./peer.ts";

const { values } = parseArgs({
  options: {
    "base-url": { type: "string", default: "http://127.0.0.1:11434" },
    model: { type: "string" },
    warm: { type: "string", default: "50" },
    requests: { type: "string", default: "300" },
    tokens: { type: "string", default: "256" },
    rounds: { type: "string", default: "7" },
    peers: { type: "string" },
    "llama-bench": { type: "string" },
    gguf: { type: "string" },
    threads: { type: "string", default: "2" },
  },
});
if (values.model === undefined) {
  console.error("usage: bun bench/request-cost.ts --model NAME [--base-url URL] [--requests N]");
  process.exit(2);
}
const url = `${values["base-url"]}/api/generate`;
const { model } = values;
const requests = Number(values.requests);
const tokens = Number(values.tokens);
const rounds = Number(values.rounds);

interface Final {
  readonly eval_count?: number;
  readonly eval_duration?: number;
  readonly prompt_eval_duration?: number;
}

function post(body: Record<string, unknown>): Promise<Response> {
  return fetch(url, { method: "POST", body: JSON.stringify({ model, ...body }) });
}

/** Value at a share of a sorted list. */
function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

function report(name: string, unit: string, figures: number[]): void {
  figures.sort((a, b) => a - b);
  const shown = [0.5, 0.9, 0.99].map((share) => at(figures, share).toFixed(3)).join(" / ");
  console.log(`${name.padEnd(58)} p50 / p90 / p99  ${shown} ${unit}`);
}

/** Wall time of a request, and what of it is not evaluation. Milliseconds. */
interface Cost {
  readonly wall: number;
  readonly fixed: number;
}

/** One short answer, not streamed. */
async function shortRequest(): Promise<Cost> {
  const since = performance.now();
  const answer = await post({
    prompt: "Once upon a time",
    raw: true,
    stream: false,
    options: { num_predict: 1, temperature: 0 },
  });
  const final = (await answer.json()) as Final;
  const wall = performance.now() - since;
  const work = (final.eval_duration ?? 0) + (final.prompt_eval_duration ?? 0);
  return { wall, fixed: wall - work / 1e6 };
}

/** The same of llama-server. */
async function peerRequest({ url: peer }: Peer): Promise<Cost> {
  const since = performance.now();
  const body = { prompt: "Once upon a time", n_predict: 1, temperature: 0, cache_prompt: false };
  const answer = await fetch(`${peer}/completion`, { method: "POST", body: JSON.stringify(body) });
  const { timings } = (await answer.json()) as {
    timings: { prompt_ms: number; predicted_ms: number };
  };
  const wall = performance.now() - since;
  return { wall, fixed: wall - timings.prompt_ms - timings.predicted_ms };
}

function reportCosts(who: string, costs: readonly Cost[]): void {
  const figures = (part: keyof Cost) => costs.map((cost) => cost[part]);
  report(`${who}, wall`, "ms", figures("wall"));
  report(`${who}, beyond evaluation`, "ms", figures("fixed"));
}

/** Requests that follow each other before it is the other server's turn. */
const turn = 100;

/** Costs of the server, and of llama-server when there is one: it sleeps while it is not asked. */
async function shortRequests(peer: Peer | undefined): Promise<{ own: Cost[]; others: Cost[] }> {
  const own: Cost[] = [];
  const others: Cost[] = [];
  while (own.length < requests) {
    for (let i = 0; i < turn && own.length < requests; i++) own.push(await shortRequest());
    if (peer === undefined) continue;
    peer.wake();
    for (let i = 0; i < turn / 10; i++) await peerRequest(peer); // awake again, it is slow at first
    for (let i = 0; i < turn; i++) others.push(await peerRequest(peer));
    peer.sleep();
  }
  return { own, others };
}

/** One streamed answer: microseconds a token between first and last line, and the reported part. */
async function streamed(): Promise<{ token: number; reported: number; count: number }> {
  const answer = await post({
    prompt: "Once upon a time",
    raw: true,
    options: { num_predict: tokens, temperature: 0 },
  });
  if (answer.body === null) throw new Error("no body");
  let first = 0;
  let last = 0;
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of answer.body) {
    last = performance.now();
    if (first === 0) first = last;
    text += decoder.decode(chunk, { stream: true });
  }
  const final = JSON.parse(text.trimEnd().split("\n").at(-1) ?? "{}") as Final;
  const count = final.eval_count ?? 0;
  return {
    token: ((last - first) * 1000) / Math.max(1, count - 1),
    reported: (final.eval_duration ?? 0) / 1000 / Math.max(1, count),
    count,
  };
}

/** Microseconds a token of llama-bench's own generation. */
async function llamaBench(program: string, gguf: string): Promise<number> {
  const argv = ["-m", gguf, "-p", "0", "-n", String(tokens), "-t", values.threads, "-r", "3"];
  const child = Bun.spawn([program, ...argv, "-o", "json"], {
    stderr: "ignore",
    env: peerEnvironment,
  });
  const [result] = (await new Response(child.stdout).json()) as { avg_ts: number }[];
  return 1e6 / (result?.avg_ts ?? Number.NaN);
}

async function requestCosts(): Promise<void> {
  const { peers, gguf } = values;
  for (let i = 0; i < Number(values.warm); i++) await shortRequest();
  const args = { contextLength: 512, args: ["-t", "1"] };
  const peer = peers && gguf ? await startPeer(peers, gguf, 1, args) : undefined;
  await using stack = new AsyncDisposableStack();
  if (peer !== undefined) stack.use(peer);
  peer?.sleep();
  const { own, others } = await shortRequests(peer);
  reportCosts("request", own);
  if (others.length > 0) reportCosts("request of llama-server", others);
}

await requestCosts();

await streamed();
const costs: number[] = [];
const own: number[] = [];
const bench: number[] = [];
for (let round = 0; round < rounds; round++) {
  const run = await streamed();
  if (run.count < tokens) throw new Error(`the model ended after ${run.count} tokens`);
  own.push(run.token);
  if (values["llama-bench"] !== undefined && values.gguf !== undefined) {
    bench.push(await llamaBench(values["llama-bench"], values.gguf));
  } else {
    costs.push(run.token - run.reported);
  }
}
report("streamed token, whole", "µs", own);
if (bench.length > 0) {
  // The best rounds: load of the machine only ever adds.
  report("token of llama-bench", "µs", bench);
  console.log(
    `streamed token beyond llama-bench, best rounds: ${((own[0] ?? 0) - (bench[0] ?? 0)).toFixed(1)} µs`,
  );
} else {
  report("streamed token, beyond reported evaluation", "µs", costs);
}
