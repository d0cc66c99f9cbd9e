/**
 * What drafting gains and costs: tokens a second with and without, in interleaved rounds, as a ratio.
 * `bun bench/draft.ts [--rounds N] [--tokens N] [--threads N]`. Makes its models: 100 million weights
 * that let each word be followed by the next of the vocabulary (`model.ts --chain`), a draft model of 15
 * million that does the same, and one that foretells nothing. So it is known what can be guessed:
 *
 * - `copy`: the answer is what the prompt holds already, as when a text is corrected;
 * - `nothing to copy`: nothing repeats, n-grams find nothing;
 * - `chance`: words by chance; what n-grams find is wrong;
 * - `draft model`: all guesses are right; `useless draft model`: none is.
 *
 * Real texts lie between the first and the last of each kind.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  createModel,
  startServer,
  temporaryFolder,
  uploadBlob,
} from "../test/support/executable.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    tokens: { type: "string", default: "256" },
    threads: { type: "string", default: "2" },
  },
});
const tokens = Number(values.tokens);

/** A word that is one token of the vocabulary of Llama 2. */
const word = "the";

await using folder = await temporaryFolder();

async function makeModel(name: string, ...flags: string[]): Promise<string> {
  const path = join(folder.path, `${name}.gguf`);
  const script = join(import.meta.dir, "model.ts");
  const child = Bun.spawn([process.execPath, script, path, ...flags], { stdout: "ignore" });
  if ((await child.exited) !== 0) throw new Error(`the model ${name} was not made`);
  return path;
}

const model = await makeModel("model", "--chain");
await using server = await startServer();
const parameters = { num_thread: Number(values.threads), num_ctx: 2048 };
await createModel(server, "plain", model, { parameters });
for (const [name, flags] of [
  ["good", ["--small", "--chain"]],
  ["useless", ["--small"]],
] as const) {
  const digest = await uploadBlob(server, await Bun.file(await makeModel(name, ...flags)).bytes());
  const draft_files = { "draft.gguf": digest };
  await createModel(server, name, model, { parameters, draft_files });
}

interface Work {
  readonly name: string;
  readonly model: string;
  readonly draft: "ngram" | "model";
  readonly prompt: string;
  readonly options?: Record<string, unknown>;
}

interface Run {
  readonly rate: number;
  readonly guesses: number;
  readonly accepted: number;
  readonly response: string;
}

async function run({ model: name, prompt, options }: Work, draft: string): Promise<Run> {
  const wish = { temperature: 0, num_predict: tokens, stop: [], seed: 1, ...options, draft };
  const answer = await server.post(
    "/api/generate",
    { model: name, stream: false, raw: true, prompt, options: wish },
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

const first = { name: "", model: "plain", draft: "ngram", prompt: word } as const;
const { response } = await run(first, "none");
const copy = `${word}${response} ${word}`;
const byChance = { temperature: 8, top_k: 0, top_p: 1 };
const works: Work[] = [
  { name: "n-grams, copy", model: "plain", draft: "ngram", prompt: copy },
  { name: "n-grams, nothing to copy", model: "plain", draft: "ngram", prompt: word },
  { name: "n-grams, chance", model: "plain", draft: "ngram", prompt: copy, options: byChance },
  { name: "draft model", model: "good", draft: "model", prompt: word },
  {
    name: "draft model, 15 guesses",
    model: "good",
    draft: "model",
    prompt: word,
    options: { draft_num_predict: 15 },
  },
  { name: "useless draft model", model: "useless", draft: "model", prompt: word },
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
  const ratio = (drafted.rate / plain.rate).toFixed(2);
  const right = `${drafted.accepted} of ${drafted.guesses} guesses right`;
  console.log(
    `${work.name.padEnd(26)} ${rates.padEnd(26)} ${ratio}   ${right}, ${same ? "the same text" : "ANOTHER TEXT"}`,
  );
}
