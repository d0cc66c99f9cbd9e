/**
 * How long `GET /api/tags` takes with many models: the first time after a start (goal: at most 150 ms for
 * 300 models), and from then on (p50 at most 10 ms). `bun bench/tags.ts [--models N]`.
 */
import { parseArgs } from "node:util";
import {
  startServer,
  type TestServer,
  temporaryFolder,
  uploadBlob,
} from "../test/support/executable.ts";
import { tinyDecoder } from "../test/support/tiny-models.ts";

const { values } = parseArgs({ options: { models: { type: "string", default: "300" } } });
const count = Number(values.models);

/** Milliseconds of one request. */
async function list(server: TestServer): Promise<number> {
  const since = performance.now();
  const answer = await server.request("GET", "/api/tags");
  const { models } = (await answer.json()) as { models: unknown[] };
  if (models.length !== count) throw new Error(`${models.length} models of ${count}`);
  return performance.now() - since;
}

await using home = await temporaryFolder();
{
  await using server = await startServer({ home: home.path });
  for (let seed = 1; seed <= count; seed++) {
    const files = { "model.gguf": await uploadBlob(server, tinyDecoder("llama", { seed })) };
    const answer = await server.post("/api/create", { model: `m${seed}`, files, stream: false });
    if (!answer.ok) throw new Error(await answer.text());
  }
  // So that what the list says is in the cache folder, as it is where a server has run for a while.
  await list(server);
}
const first: number[] = [];
const warm: number[] = [];
for (let round = 0; round < 5; round++) {
  await using server = await startServer({ home: home.path });
  first.push(await list(server));
  for (let i = 0; i < 50; i++) warm.push(await list(server));
}
const at = (figures: readonly number[], part: number) =>
  (figures.toSorted((a, b) => a - b)[Math.floor(figures.length * part)] ?? Number.NaN).toFixed(1);
console.log(
  `${count} models, first list after a start: p50 ${at(first, 0.5)} ms, most ${at(first, 0.99)} ms (goal 150)`,
);
console.log(
  `${count} models, later lists: p50 ${at(warm, 0.5)} ms, p99 ${at(warm, 0.99)} ms (goal 10)`,
);
