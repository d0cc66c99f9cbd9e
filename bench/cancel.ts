/**
 * Clients that leave in the middle of a long prompt: how soon is the next request answered?
 * `bun bench/cancel.ts --model FILE.gguf [--rounds N] [--seed N]`. Prints the time from the cancel to the
 * answer of the next request, beside that of the same request on an idle model; exits with 1 when the
 * longest took more than 250 ms more than the median of those.
 */
import { parseArgs } from "node:util";
import { createModel, startServer } from "../test/support/executable.ts";
import { randomNumbers } from "./leaving.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    rounds: { type: "string", default: "16" },
    seed: { type: "string", default: "1" },
  },
});
if (values.model === undefined) throw new Error("--model FILE.gguf is missing");
const allowedMs = 250;
const rounds = Number(values.rounds);
const random = randomNumbers(Number(values.seed));
const words = ["river", "stone", "light", "tree", "bird", "cloud", "sun", "rain"];

/** A text that shares nothing with those before it. */
function prompt(length: number): string {
  const text = Array.from({ length }, () => words[Math.floor(random() * words.length)]);
  return text.join(" ");
}

await using server = await startServer({ env: { HUTCH_PREFIX_CACHE: "0" } });
await createModel(server, "bench", values.model);
const body = {
  model: "bench",
  raw: true,
  stream: false,
  options: { num_ctx: 4096, num_predict: 1 },
};

async function generate(text: string, signal?: AbortSignal): Promise<number> {
  const since = performance.now();
  const init = signal === undefined ? {} : { signal };
  const answer = await server.post("/api/generate", { ...body, prompt: text }, init);
  if (!answer.ok) throw new Error(await answer.text());
  await answer.json();
  return performance.now() - since;
}

const round = (ms: number): string => ms.toFixed(0).padStart(5);
await generate(prompt(8));
const whole = await generate(prompt(3000));
const idle: number[] = [];
const after: number[] = [];
for (let i = 0; i < rounds; i++) {
  const leaving = new AbortController();
  const long = generate(prompt(3000), leaving.signal).catch((error) => {
    if (!leaving.signal.aborted) throw error;
  });
  await Bun.sleep(whole * (0.1 + 0.8 * random()));
  leaving.abort();
  after.push(await generate(prompt(8)));
  await long;
  idle.push(await generate(prompt(8)));
}
const sorted = (list: readonly number[]): number[] => list.toSorted((a, b) => a - b);
const median = sorted(idle)[rounds >> 1] ?? 0;
const times = sorted(after);
const longest = (times.at(-1) ?? 0) - median;
console.log(
  `a prompt of 3,000 words: ${round(whole)} ms; a short request on an idle model: ${round(median)} ms`,
);
console.log(
  `after a cancel: p50 ${round(times[rounds >> 1] ?? 0)} ms, longest ${round(times.at(-1) ?? 0)} ms`,
);
console.log(`longest wait because of the cancelled prompt: ${round(longest)} ms (${allowedMs})`);
process.exitCode = longest <= allowedMs ? 0 : 1;
