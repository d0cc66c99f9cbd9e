/**
 * What a constraint costs: tokens per second under a moderate schema against free generation, on one
 * server, in interleaved rounds: `bun bench/constraint.ts --model FILE.gguf [--rounds N] [--threads N]`.
 * A model to measure with is made by `bench/model.ts`. Prints the best of each and their ratio.
 */
import { parseArgs } from "node:util";
import { createModel, startServer } from "../test/support/executable.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: "2" },
  },
});
if (values.model === undefined) {
  console.error("usage: bun bench/constraint.ts --model FILE.gguf [--rounds N] [--threads N]");
  process.exit(2);
}
const { model, threads } = values;
const tokens = 256;
/** An answer may end by itself; one shorter than this says little. */
const fewest = 64;

const person = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 3, maxLength: 40 },
    age: { type: "integer", minimum: 0, maximum: 150 },
    role: { enum: ["author", "editor", "reader"] },
    email: {
      anyOf: [{ type: "string", pattern: "^[a-z]{2,12}@[a-z]{2,12}\\.org$" }, { type: "null" }],
    },
    tags: { type: "array", items: { type: "string", maxLength: 12 }, maxItems: 4 },
  },
  required: ["name", "age", "role", "email", "tags"],
  additionalProperties: false,
};
/** Long enough that the length limit ends every answer. */
const schema = {
  type: "object",
  properties: { people: { type: "array", items: { $ref: "#/$defs/person" }, minItems: 50 } },
  required: ["people"],
  additionalProperties: false,
  $defs: { person },
};

await using server = await startServer();
await createModel(server, "model", model, { parameters: { num_thread: Number(threads) } });

/** Tokens per second of one answer. */
async function rate(format: unknown): Promise<number> {
  const answer = await server.post("/api/generate", {
    model: "model",
    prompt: "Once",
    raw: true,
    stream: false,
    format,
    options: { temperature: 0.8, seed: 1, num_predict: tokens, stop: [] },
  });
  const done = (await answer.json()) as Record<string, number>;
  const count = done.eval_count ?? 0;
  if (count < fewest)
    throw new Error(`${count} tokens are too few to measure: ${done.error ?? ""}`);
  return count / ((done.eval_duration ?? 1) / 1e9);
}

await rate(undefined);
await rate(schema);
const best = { free: 0, constrained: 0 };
for (let round = 0; round < Number(values.rounds); round++) {
  best.free = Math.max(best.free, await rate(undefined));
  best.constrained = Math.max(best.constrained, await rate(schema));
}
console.log(`free         ${best.free.toFixed(1)} tokens/s`);
console.log(`constrained  ${best.constrained.toFixed(1)} tokens/s`);
console.log(`ratio        ${(best.constrained / best.free).toFixed(3)}`);
