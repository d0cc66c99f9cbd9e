/**
 * Whether the same request gives the same bytes while others run: `bun bench/same-text.ts
 * [--model FILE.gguf] [--requests 200] [--others 8] [--tokens 64]`. The same requests at temperature 0 are
 * sent again and again beside others, once as usual and once with HUTCH_DETERMINISTIC=1; prints how many
 * differ from what each gave alone, how long all of it took, and how many tokens a second all clients got
 * together. Exit code 1 when one differs with it.
 */
import { parseArgs } from "node:util";
import {
  createModel,
  startServer,
  type TestServer,
  testModel,
} from "../test/support/executable.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: testModel("stories260K-f32.gguf") ?? "" },
    requests: { type: "string", default: "200" },
    others: { type: "string", default: "8" },
    tokens: { type: "string", default: "64" },
  },
});
if (values.model === "") {
  console.error("usage: bun bench/same-text.ts --model FILE.gguf [--requests 200] [--others 8]");
  process.exit(2);
}
const count = Number(values.requests);
const prompts = ["Tom", "Lily and Ben", "Once upon a time there was a small house.", "The sun"];

/** Tokens that all clients of a server got. */
let written = 0;

async function textOf(server: TestServer, prompt: string, tokens: number): Promise<string> {
  const answer = await server.post("/api/generate", {
    model: "model",
    prompt,
    raw: true,
    stream: false,
    options: { temperature: 0, seed: 1, num_predict: tokens },
  });
  if (!answer.ok) throw new Error(`status ${answer.status}: ${await answer.text()}`);
  const { response, eval_count } = (await answer.json()) as {
    response: string;
    eval_count: number;
  };
  written += eval_count;
  return response;
}

/** How many texts differ from what the same request gave alone. */
async function differing(env: Record<string, string>): Promise<number> {
  await using server = await startServer({ env });
  await createModel(server, "model", values.model);
  const tokens = Number(values.tokens);
  const alone = new Map<string, string>();
  for (const prompt of prompts) alone.set(prompt, await textOf(server, prompt, tokens));
  written = 0;
  const since = performance.now();
  let over = false;
  const others = Array.from({ length: Number(values.others) }, async (_, i) => {
    for (let round = 0; !over; round++) {
      await textOf(server, `${i} ${"and then ".repeat(round % 40)}`, 10 + ((i * 7 + round) % 90));
    }
  });
  let different = 0;
  for (let i = 0; i < count; i++) {
    const prompt = prompts[i % prompts.length] ?? "";
    if ((await textOf(server, prompt, tokens)) !== alone.get(prompt)) different++;
  }
  over = true;
  const seconds = (performance.now() - since) / 1000;
  const rate = (written / seconds).toFixed(0);
  await Promise.all(others);
  const name = env.HUTCH_DETERMINISTIC === "1" ? "HUTCH_DETERMINISTIC=1" : "as usual";
  console.log(
    `${name.padEnd(22)} ${different} of ${count} texts differ, ${seconds.toFixed(1)} s beside ${values.others} others, ${rate} tokens/s of all`,
  );
  return different;
}

await differing({});
process.exitCode = (await differing({ HUTCH_DETERMINISTIC: "1" })) > 0 ? 1 : 0;
