/**
 * What drafting gains and costs: tokens a second with and without, in interleaved rounds, as a ratio.
 * `bun bench/draft.ts --model FILE.gguf [--rounds N] [--tokens N] [--draft FILE.gguf]`
 *
 * - `copy`: the answer repeats the prompt. A model of random weights would not: a constraint holds it to
 *   the copy, token by token, so that what is guessed comes true as it does with a model that copies.
 * - `loop`: a free answer at temperature 0; random weights soon repeat themselves.
 * - `nothing comes true`: words by chance from the whole vocabulary. Here drafting can only cost.
 * - `draft model`: a free answer with the model of `--draft`. Without it the model drafts for itself:
 *   then all guesses come true, each at the price of a token, and only the steps are saved.
 */
import { parseArgs } from "node:util";
import { createModel, startServer, uploadBlob } from "../test/support/executable.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    draft: { type: "string" },
    rounds: { type: "string", default: "3" },
    tokens: { type: "string", default: "256" },
    threads: { type: "string", default: "2" },
  },
});
if (values.model === undefined) {
  console.error("usage: bun bench/draft.ts --model FILE.gguf [--rounds N] [--draft FILE.gguf]");
  process.exit(2);
}

const text = [
  "The harbour town of Saltmere keeps three clocks, and none of them agrees with the others.",
  "The church clock is wound on Mondays, the clock of the customs house on Thursdays, and the",
  "third, above the bakery, whenever somebody remembers. Visitors ask which of them is right; the",
  "baker says that bread does not care, the priest that the bells do, and the customs officer that",
  "ships come with the tide in any case. In the year of the great storm all three stopped at once,",
  "at nineteen minutes past four, and for eleven days nobody in the town was late for anything.",
].join(" ");

await using server = await startServer();
const digest = await uploadBlob(server, await Bun.file(values.draft ?? values.model).bytes());
const parameters = { num_thread: Number(values.threads), num_ctx: 2048 };
await createModel(server, "model", values.model, { parameters });
await createModel(server, "pair", values.model, {
  parameters,
  draft_files: { "draft.gguf": digest },
});

interface Run {
  readonly rate: number;
  readonly guesses: number;
  readonly accepted: number;
  readonly response: string;
}

interface Work {
  readonly name: string;
  readonly model: string;
  readonly body: Record<string, unknown>;
  readonly options: Record<string, unknown>;
  readonly draft: string;
}

async function run({ model, body, options }: Work, draft: string): Promise<Run> {
  const answer = await server.post(
    "/api/generate",
    {
      model,
      raw: true,
      stream: false,
      ...body,
      options: { num_predict: Number(values.tokens), stop: [], seed: 1, ...options, draft },
    },
    { headers: { "x-hutch-extras": "1" } },
  );
  const last = (await answer.json()) as Record<string, number> & { response: string };
  if (!answer.ok) throw new Error(JSON.stringify(last));
  const { eval_count = 0, eval_duration = 1, draft_count = 0, draft_accepted_count = 0 } = last;
  return {
    rate: eval_count / (eval_duration / 1e9),
    guesses: draft_count,
    accepted: draft_accepted_count,
    response: last.response,
  };
}

const works: Work[] = [
  {
    name: "copy, by n-grams",
    model: "model",
    // Probabilities keep the constraint from writing forced tokens without the model.
    body: { prompt: `${text}\n`, choice: [text], logprobs: true },
    options: { temperature: 0 },
    draft: "ngram",
  },
  {
    name: "loop, by n-grams",
    model: "model",
    body: { prompt: text },
    options: { temperature: 0 },
    draft: "ngram",
  },
  {
    name: "nothing comes true, by n-grams",
    model: "model",
    body: { prompt: text },
    options: { temperature: 5, top_k: 0, top_p: 1 },
    draft: "ngram",
  },
  {
    name: values.draft === undefined ? "draft model: itself" : "draft model",
    model: "pair",
    body: { prompt: text },
    options: { temperature: 0 },
    draft: "model",
  },
];

for (const work of works) {
  await run(work, work.draft);
  let [plain, drafted] = [await run(work, "none"), await run(work, work.draft)];
  const same = plain.response === drafted.response;
  for (let round = 1; round < Number(values.rounds); round++) {
    const [again, other] = [await run(work, "none"), await run(work, work.draft)];
    if (again.rate > plain.rate) plain = again;
    if (other.rate > drafted.rate) drafted = other;
  }
  const rates = `${plain.rate.toFixed(1)} → ${drafted.rate.toFixed(1)} tokens/s`;
  console.log(
    `${work.name.padEnd(32)} ${rates.padEnd(28)} ${(drafted.rate / plain.rate).toFixed(2)}   ` +
      `${drafted.accepted} of ${drafted.guesses} guesses   ${same ? "same text" : "another text"}`,
  );
}
