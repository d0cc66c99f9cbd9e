/**
 * One stream of 128 tokens through HTTP against llama-bench tg128 of the same source, in interleaved
 * rounds, as a ratio: `bun bench/stream.ts --model FILE.gguf [--rounds N] [--threads N]`. The peer is
 * built by `bun build.ts --peers`, or named with `--llama-bench FILE`.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createModel, startServer } from "../test/support/executable.ts";
import { peerEnvironment } from "./peer.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: "2" },
    "llama-bench": { type: "string", default: join(import.meta.dir, "../dist/peers/llama-bench") },
  },
});
if (values.model === undefined) {
  console.error("usage: bun bench/stream.ts --model FILE.gguf [--rounds N] [--threads N]");
  process.exit(2);
}
const { model, threads } = values;
const tokens = 128;

/** Tokens per second that llama-bench reports for generating. */
async function peer(): Promise<number> {
  const argv = [
    "-m",
    model,
    "-t",
    threads,
    "-p",
    "0",
    "-n",
    String(tokens),
    "-r",
    "1",
    "-o",
    "json",
  ];
  const child = Bun.spawn([values["llama-bench"], ...argv], {
    stdout: "pipe",
    stderr: "ignore",
    env: peerEnvironment,
  });
  const [first] = (await new Response(child.stdout).json()) as { avg_ts: number }[];
  return first?.avg_ts ?? 0;
}

await using server = await startServer();
await createModel(server, "model", model, { parameters: { num_thread: Number(threads) } });

interface Run {
  wall: number;
  own: number;
}

async function hutch(): Promise<Run> {
  const since = performance.now();
  const answer = await server.post("/api/generate", {
    model: "model",
    prompt: "Once",
    raw: true,
    options: { temperature: 0, num_predict: tokens, stop: [] },
  });
  let first = 0;
  let last: Record<string, number> = {};
  for (const line of (await answer.text()).split("\n").filter(Boolean)) {
    last = JSON.parse(line) as Record<string, number>;
  }
  first = performance.now() - since;
  const count = last.eval_count ?? 0;
  return {
    wall: count / ((first - (last.prompt_eval_duration ?? 0) / 1e6) / 1000),
    own: count / ((last.eval_duration ?? 1) / 1e9),
  };
}

await hutch();
const best = { peer: 0, wall: 0 };
for (let round = 0; round < Number(values.rounds); round++) {
  best.peer = Math.max(best.peer, await peer());
  const { wall } = await hutch();
  best.wall = Math.max(best.wall, wall);
}
const perToken = (rate: number) => 1e6 / rate;
console.log(`llama-bench tg${tokens}        ${best.peer.toFixed(1)} tokens/s`);
console.log(`hutch through HTTP        ${best.wall.toFixed(1)} tokens/s`);
console.log(`ratio                     ${(best.wall / best.peer).toFixed(3)}`);
console.log(
  `cost of a token beyond it ${(perToken(best.wall) - perToken(best.peer)).toFixed(0)} µs`,
);
