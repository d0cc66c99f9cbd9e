/**
 * What a chat keeps of its speed while the server quantises another model: tokens per second of streams
 * of 64 tokens alone and beside it, in the same run (goal: at least half). Needs two models of
 * `bench/model.ts`: `bun bench/quantize.ts --model CHAT.gguf --source F16.gguf [--type q4_K_M]`.
 */
import { parseArgs } from "node:util";
import { createModel, lines, startServer, uploadBlob } from "../test/support/executable.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    source: { type: "string" },
    type: { type: "string", default: "q4_K_M" },
    rounds: { type: "string", default: "3" },
  },
});
if (values.model === undefined || values.source === undefined) {
  console.error("usage: bun bench/quantize.ts --model CHAT.gguf --source F16.gguf [--type TYPE]");
  process.exit(2);
}
const tokens = 64;

await using server = await startServer();
await createModel(server, "chat", values.model);
const files = { "model.gguf": await uploadBlob(server, await Bun.file(values.source).bytes()) };

/** Tokens per second of one stream, as its client sees them: from the first to the last. */
async function stream(): Promise<number> {
  const answer = await server.post("/api/generate", {
    model: "chat",
    prompt: "Once",
    raw: true,
    options: { temperature: 0, num_predict: tokens, stop: [] },
  });
  let first = 0;
  let count = 0;
  for await (const { done } of lines(answer)) {
    if (done) break;
    if (count++ === 0) first = performance.now();
  }
  return ((count - 1) * 1000) / (performance.now() - first);
}

/** Quantises the source; resolves with the seconds it took. */
async function quantize(): Promise<number> {
  const since = performance.now();
  const wanted = { model: "quantised", files, quantize: values.type, stream: false };
  const answer = await server.post("/api/create", wanted);
  const body = (await answer.json()) as { status?: string; error?: string };
  if (body.status !== "success") throw new Error(`quantise: ${body.error}`);
  const seconds = (performance.now() - since) / 1000;
  await server.request("DELETE", "/api/delete", { model: "quantised" });
  files["model.gguf"] = await uploadBlob(server, await Bun.file(values.source ?? "").bytes());
  return seconds;
}

const median = (figures: readonly number[]) =>
  figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;

await stream();
const alone: number[] = [];
const beside: number[] = [];
const took: number[] = [];
const tookAlone: number[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  for (let i = 0; i < 3; i++) alone.push(await stream());
  tookAlone.push(await quantize());
  let busy = true;
  const job = quantize().then((seconds) => {
    busy = false;
    took.push(seconds);
  });
  for (;;) {
    const rate = await stream();
    // A stream that outlived the job was alone for a part of its time.
    if (!busy) break;
    beside.push(rate);
  }
  await job;
}
console.log(`chat alone             ${median(alone).toFixed(1)} tokens/s`);
console.log(
  `chat beside quantising ${median(beside).toFixed(1)} tokens/s, lowest ${Math.min(...beside).toFixed(1)} (${beside.length} streams)`,
);
console.log(
  `quantising ${values.type}    ${median(tookAlone).toFixed(1)} s alone, ${median(took).toFixed(1)} s beside chats`,
);
console.log(`ratio ${(median(beside) / median(alone)).toFixed(2)} (goal 0.5)`);
