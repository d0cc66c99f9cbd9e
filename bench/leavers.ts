/**
 * 1,000 clients that leave at random moments, then one that stays: is it served at once, and is every
 * slot free? `bun bench/leavers.ts [--model FILE.gguf] [--clients N] [--at-once N] [--seed N]`. Prints the
 * time of the request after them beside that of the same request before; exits with 1 when it took more
 * than 250 ms longer, or when a slot stayed busy. Without a model, the small one of the tests is used.
 */
import { parseArgs } from "node:util";
import { createModel, startServer, testModel } from "../test/support/executable.ts";
import { leaveAtRandom } from "./leaving.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: testModel("stories260K-f32.gguf") ?? "" },
    clients: { type: "string", default: "1000" },
    "at-once": { type: "string", default: "50" },
    seed: { type: "string", default: "1" },
  },
});
if (values.model === "") {
  console.error("usage: bun bench/leavers.ts --model FILE.gguf [--clients N] [--at-once N]");
  process.exit(2);
}

await using server = await startServer();
await createModel(server, "model", values.model);
const options = { temperature: 0, num_ctx: 512, stop: ["<never>"] };

/** Milliseconds of a short answer. */
async function short(): Promise<number> {
  const since = performance.now();
  const answer = await server.post("/api/generate", {
    model: "model",
    prompt: "Tom",
    stream: false,
    options: { ...options, num_predict: 4 },
  });
  if (!answer.ok) throw new Error(`status ${answer.status}: ${await answer.text()}`);
  await answer.text();
  return performance.now() - since;
}

/** Requests that the server says it works on or keeps waiting. */
async function present(): Promise<number> {
  const text = await (await server.request("GET", "/metrics")).text();
  const figures = text.matchAll(/^hutch_model_(?:slots_busy|queue)(?:{.*})? (\d+)/gm);
  return [...figures].reduce((sum, [, count]) => sum + Number(count), 0);
}

await short();
const before = await short();
const body = {
  model: "model",
  prompt: "Once upon a time ",
  options: { ...options, num_predict: 5000 },
};
const { left, ended } = await leaveAtRandom(server.url, body, {
  clients: Number(values.clients),
  atOnce: Number(values["at-once"]),
  seed: Number(values.seed),
});
const after = await short();
const since = performance.now();
while ((await present()) > 0 && performance.now() - since < 5000) await Bun.sleep(5);
const freed = performance.now() - since;
const stuck = await present();
console.log(`${left} clients left, ${ended} answers ended before`);
console.log(`next request ${after.toFixed(1)} ms, before ${before.toFixed(1)} ms`);
console.log(`slots free after another ${freed.toFixed(0)} ms, ${stuck} still busy`);
process.exitCode = after - before > 250 || stuck > 0 ? 1 : 0;
