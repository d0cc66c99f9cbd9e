/**
 * A long time of everything at once: `bun bench/soak.ts [--minutes 30] [--clients 16] [--kill-every 20]
 * [--memory MIB] [--growth 5] [--models A.gguf,B.gguf] [--seed N]`. Clients ask, read, and often leave;
 * runners are killed; two models take turns because only one may be loaded. Every request must end in a
 * final answer or a clear error; at the end memory and file descriptors of the server are compared with
 * those early in the run (memory may grow by `--growth` percent), and no child may be left. Prints the
 * figures; exit code 1 when one is wrong, 2 when there are no models. Linux only. `--memory` bounds server
 * and runners together by a control group, where one may be made (as root, mostly); else
 * `systemd-run --user --scope -p MemoryMax=1G bun bench/soak.ts` does.
 */
import { readdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import {
  childrenOf,
  createModel,
  isRunning,
  lines,
  startServer,
  testModel,
} from "../test/support/executable.ts";
import { memoryGroup } from "../test/support/memory-group.ts";
import { randomNumbers } from "./leaving.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    clients: { type: "string", default: "16" },
    "kill-every": { type: "string", default: "20" },
    memory: { type: "string" },
    growth: { type: "string", default: "5" },
    models: { type: "string" },
    seed: { type: "string", default: "1" },
  },
});
const tests = [testModel("stories260K-f32.gguf"), testModel("tinytalk-3m-q4_0.gguf")];
const models = values.models?.split(",") ?? tests.filter((path) => path !== undefined);
const minutes = Number(values.minutes);
if (models.length === 0 || !(minutes > 0 && minutes <= 240)) {
  console.error("usage: bun bench/soak.ts [--minutes 30] [--models A.gguf,B.gguf]");
  process.exit(2);
}
const random = randomNumbers(Number(values.seed));

/** How requests ended. */
const outcomes = { answered: 0, refused: 0, left: 0, broken: 0 };
const complaints = new Map<string, number>();

function broken(why: string): void {
  outcomes.broken++;
  complaints.set(why, (complaints.get(why) ?? 0) + 1);
}

await using group =
  values.memory === undefined ? undefined : memoryGroup(Number(values.memory) * 2 ** 20);
if (values.memory !== undefined && group === undefined) {
  console.error(
    "no control group can be made here: run it under systemd-run, see the top of this file",
  );
  process.exit(2);
}
await using server = await startServer({
  env: { HUTCH_MAX_LOADED_MODELS: "1" },
  prefix: group?.prefix ?? [],
});
for (const [i, path] of models.entries()) await createModel(server, `model${i}`, path);

const end = performance.now() + minutes * 60_000;
const over = () => performance.now() >= end;

/** Whether the last line of a stream, or a whole body, is an end that a client can rely on. */
function judge(last: Record<string, unknown> | undefined): void {
  if (last?.done === true) outcomes.answered++;
  else if (typeof last?.error === "string" && last.error !== "") outcomes.refused++;
  else broken(`ended with ${JSON.stringify(last)?.slice(0, 80)}`);
}

async function request(): Promise<void> {
  const leaving = new AbortController();
  const leaveAfter = random() < 0.3 ? Math.floor(random() * 20) : Number.POSITIVE_INFINITY;
  const body = {
    model: `model${Math.floor(random() * models.length)}`,
    prompt: "Once upon a time ".repeat(1 + Math.floor(random() * 40)),
    stream: random() < 0.8,
    options: { num_predict: 1 + Math.floor(random() * 120), stop: ["<never>"] },
  };
  const timer = leaveAfter < 5 ? setTimeout(() => leaving.abort(), random() * 300) : undefined;
  try {
    const answer = await server.post("/api/generate", body, { signal: leaving.signal });
    let last: Record<string, unknown> | undefined;
    let count = 0;
    if (!body.stream || !answer.ok) last = (await answer.json()) as Record<string, unknown>;
    else {
      for await (const line of lines(answer)) {
        last = line;
        if (++count > leaveAfter) leaving.abort();
      }
    }
    if (leaving.signal.aborted) outcomes.left++;
    else judge(last);
  } catch (error) {
    if (leaving.signal.aborted) outcomes.left++;
    else broken(String(error).slice(0, 120));
  } finally {
    clearTimeout(timer);
  }
}

async function client(): Promise<void> {
  while (!over()) await request();
}

/** When a process began, in ticks of the system: ids are used again, both together are not (proc(5)). */
async function beginOf(pid: number): Promise<string | undefined> {
  const text = await Bun.file(`/proc/${pid}/stat`)
    .text()
    .catch(() => "");
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}

/** Children of the server that were ever seen, with the time when they began. */
const seen = new Map<number, string>();
let kills = 0;

async function killer(): Promise<void> {
  const every = Number(values["kill-every"]) * 1000;
  let next = performance.now() + every;
  while (!over()) {
    await Bun.sleep(100);
    const children = await childrenOf(server.pid);
    for (const pid of children) {
      const begin = await beginOf(pid);
      if (begin !== undefined) seen.set(pid, begin);
    }
    if (performance.now() < next || children.length === 0) continue;
    next = performance.now() + every;
    try {
      process.kill(children[Math.floor(random() * children.length)] ?? 0, "SIGKILL");
      kills++;
    } catch {
      // it was gone already
    }
  }
}

interface Sample {
  readonly megabytes: number;
  readonly descriptors: number;
}

async function sample(): Promise<Sample> {
  const status = await Bun.file(`/proc/${server.pid}/status`).text();
  const megabytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  return { megabytes, descriptors: (await readdir(`/proc/${server.pid}/fd`)).length };
}

/** Where the two windows lie whose figures are compared: the fifth minute and the last one, or sixths. */
const window = Math.min(1, minutes / 6) * 60_000;
const begin = end - minutes * 60_000;
const windows = { early: begin + Math.min(5 * 60_000, 2 * window), late: end };

/** Means of a window that ends at a time: memory goes up and down with every collection of garbage. */
async function average(until: number): Promise<Sample> {
  await Bun.sleep(Math.max(0, until - window - performance.now()));
  const samples: Sample[] = [];
  while (performance.now() < until) {
    samples.push(await sample());
    await Bun.sleep(window / 60);
  }
  const mean = (of: (each: Sample) => number) =>
    samples.reduce((sum, each) => sum + of(each), 0) / samples.length;
  return {
    megabytes: mean((each) => each.megabytes),
    descriptors: mean((each) => each.descriptors),
  };
}

async function minuteByMinute(): Promise<void> {
  for (let minute = 1; minute <= Math.ceil(minutes); minute++) {
    await Bun.sleep(Math.min(60_000, Math.max(0, end - performance.now())));
    const { megabytes, descriptors } = await sample();
    const { answered, refused, left, broken } = outcomes;
    console.log(
      `minute ${minute}: ${answered} answered, ${refused} errors, ${left} left, ${broken} broken, ${kills} kills, ${megabytes.toFixed(0)} MB, ${descriptors} descriptors`,
    );
  }
}

const clients = Array.from({ length: Number(values.clients) }, client);
const [before, after] = await Promise.all([
  average(windows.early),
  average(windows.late),
  killer(),
  minuteByMinute(),
  ...clients,
]);
const descriptors = (await sample()).descriptors;
await server.stop("SIGTERM");
const orphans: number[] = [];
for (const [pid, begin] of seen) {
  if ((await isRunning(pid)) && (await beginOf(pid)) === begin) orphans.push(pid);
}

const growth = (after.megabytes / before.megabytes - 1) * 100;
console.log(
  `memory ${before.megabytes.toFixed(0)} MB early, ${after.megabytes.toFixed(0)} MB at the end (${growth.toFixed(1)} %)`,
);
console.log(
  `descriptors ${before.descriptors.toFixed(0)} early, ${after.descriptors.toFixed(0)} late, ${descriptors} at the end`,
);
if (group !== undefined) {
  const most = (group.used().most / 2 ** 20).toFixed(0);
  console.log(`group: ${most} MB at most, ${group.killed()} killed for memory`);
}
console.log(`children left: ${orphans.length}; broken requests: ${outcomes.broken}`);
for (const [why, count] of complaints) console.log(`  ${count} x ${why}`);
const useless = outcomes.answered === 0;
const leaks = after.descriptors > before.descriptors + 2 * Number(values.clients);
const bad = outcomes.broken > 0 || orphans.length > 0 || growth > Number(values.growth);
process.exitCode = bad || leaks || useless ? 1 : 0;
