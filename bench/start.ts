/**
 * Start-up figures of the executable: `--version`, start to `GET /`, first token of a model that is
 * not loaded, one-shot `run` without a server, resident memory. Prints medians with minimum and
 * maximum; anyone can run it: `bun bench/start.ts --model FILE.gguf [--rounds N] [--small FILE.gguf]`.
 */
import { parseArgs } from "node:util";
import {
  childrenOf,
  cleanEnvironment,
  createModel,
  executable,
  lines,
  startServer,
  type TestServer,
  temporaryFolder,
} from "../test/support/executable.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    small: { type: "string" },
    rounds: { type: "string", default: "9" },
  },
});
if (values.model === undefined) {
  console.error("usage: bun bench/start.ts --model FILE.gguf [--small FILE.gguf] [--rounds N]");
  process.exit(2);
}
const rounds = Number(values.rounds);

/** Runs a measurement several times (one warm-up) and prints its spread. */
async function report(name: string, unit: string, measure: () => Promise<number>): Promise<void> {
  await measure();
  const figures: number[] = [];
  for (let round = 0; round < rounds; round++) figures.push(await measure());
  figures.sort((a, b) => a - b);
  const at = (share: number) => (figures[Math.floor(share * (figures.length - 1))] ?? 0).toFixed(1);
  console.log(`${name.padEnd(52)} ${at(0.5)} ${unit}  (${at(0)} to ${at(1)}, ${rounds} rounds)`);
}

/** Milliseconds until the first byte of a command's stdout. */
async function firstByte(argv: string[], home: string): Promise<number> {
  const start = performance.now();
  const child = Bun.spawn([executable, ...argv], {
    env: cleanEnvironment(home, { HUTCH_HOST: "" }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  const took = performance.now() - start;
  reader.releaseLock();
  for await (const _ of child.stdout) {
    // read to the end, so that the child is never killed by a closed pipe
  }
  if (done || (await child.exited) !== 0) throw new Error(`${argv.join(" ")} failed`);
  return took;
}

/** Resident memory of a process and its children, MiB. */
async function residentMiB(pid: number): Promise<number> {
  let pages = 0;
  for (const id of [pid, ...(await childrenOf(pid))]) {
    pages += Number((await Bun.file(`/proc/${id}/statm`).text()).split(" ")[1]);
  }
  return (pages * 4096) / 2 ** 20;
}

async function firstToken(server: TestServer, model: string): Promise<number> {
  await server.post("/api/generate", { model, keep_alive: 0 });
  for (;;) {
    const { models } = (await (await server.request("GET", "/api/ps")).json()) as {
      models: unknown[];
    };
    if (models.length === 0) break;
    await Bun.sleep(5);
  }
  const start = performance.now();
  const answer = await server.post("/api/generate", {
    model,
    prompt: "Once upon a time",
    raw: true,
    options: { num_predict: 4, temperature: 0 },
  });
  let took = 0;
  for await (const line of lines(answer)) {
    if (took === 0 && line.response !== "") took = performance.now() - start;
  }
  return took;
}

await using home = await temporaryFolder();
{
  await using server = await startServer({ home: home.path });
  await createModel(server, "model", values.model);
  await report("first token of a model that is not loaded", "ms", () =>
    firstToken(server, "model"),
  );
  if (values.small !== undefined) {
    await createModel(server, "small", values.small);
    await server.post("/api/generate", { model: "model", keep_alive: 0 });
    await firstToken(server, "small");
    await Bun.sleep(500);
    console.log(
      `${"resident memory of server and runner, small model".padEnd(52)} ${(await residentMiB(server.pid)).toFixed(1)} MiB`,
    );
  }
}
await report("hutch --version", "ms", () => firstByte(["--version"], home.path));
await report("executable start to GET / answered", "ms", async () => {
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const start = performance.now();
  const child = Bun.spawn([executable, "serve"], {
    env: cleanEnvironment(home.path, { HUTCH_HOST: `127.0.0.1:${port}` }),
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  try {
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
      if (answer?.ok) return performance.now() - start;
      if (child.exitCode !== null) throw new Error("the server ended");
      await Bun.sleep(1);
    }
  } finally {
    child.kill();
    await child.exited;
  }
});
await report("run without a server, exec to first byte", "ms", () =>
  firstByte(["run", "model", "--max-tokens", "8", "Once upon a time"], home.path),
);
