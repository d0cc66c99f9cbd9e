/**
 * How long a running stream waits when many others join it: `bun bench/joining.ts --model FILE.gguf
 * [--others 31]`. The model has one slot then and gets more; the stream's longest waits are those for the
 * others' prompts, and whatever adding slots takes. To compare with another build: `HUTCH_TEST_BIN`.
 * Models are made by `bun bench/model.ts`.
 */
import { parseArgs } from "node:util";
import { createModel, lines, startServer } from "../test/support/executable.ts";

const { values } = parseArgs({
  options: { model: { type: "string" }, others: { type: "string", default: "31" } },
});
if (values.model === undefined) {
  console.error("usage: bun bench/joining.ts --model FILE.gguf [--others 31]");
  process.exit(2);
}
const others = Number(values.others);
/** Tokens of the stream before the others come. */
const before = 20;

await using server = await startServer();
await createModel(server, "model", values.model);

/** Milliseconds between the pieces of one answer; `arrived` hears how many there are. */
async function stream(name: string, tokens: number, arrived: (count: number) => void) {
  const options = { temperature: 0, num_predict: tokens, stop: [] };
  const prompt = `${name} ${"river stone lamp window bread ".repeat(6)}`;
  const since = performance.now();
  const answer = await server.post("/api/generate", { model: "model", prompt, raw: true, options });
  const waits: number[] = [];
  let last = since;
  for await (const _ of lines(answer)) {
    const now = performance.now();
    waits.push(now - last);
    last = now;
    arrived(waits.length);
  }
  return waits;
}

await stream("warm up", 1, () => {});
const firsts: Promise<number>[] = [];
const waits = await stream("first", 300, (count) => {
  if (count !== before) return;
  for (let i = 0; i < others; i++) {
    firsts.push(stream(`${i}`, 20, () => {}).then(([first = 0]) => first));
  }
});
const joined = (await Promise.all(firsts)).sort((a, b) => a - b);
const longest = waits.slice(before).sort((a, b) => b - a);
const ms = (all: readonly (number | undefined)[]) =>
  all.map((each = 0) => `${each.toFixed(0)} ms`).join(", ");
console.log(`the stream's longest waits: ${ms(longest.slice(0, 3))}`);
console.log(
  `first token of ${others} others: p50 ${ms([joined[others >> 1]])}, last ${ms([joined.at(-1)])}`,
);
