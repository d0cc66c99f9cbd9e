/**
 * `hutch batch IN.jsonl OUT.jsonl`: many requests side by side. Output keeps the order of the input, so
 * that what is done can be counted: after a kill the same command goes on where it ended.
 */
import {
  createReadStream,
  existsSync,
  openSync,
  readFileSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import { UsageError } from "../errors.ts";
import { flagText, isOn, type ParsedArguments } from "./arguments.ts";
import {
  type BadLine,
  type OutputLine,
  readLine,
  readOutput,
  renderLine,
  succeeded,
  type Task,
} from "./batch-lines.ts";
import type { Client } from "./client.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { Progress } from "./terminal/progress.ts";

/** Times that a busy server is asked again, and milliseconds between. */
const mostTries = 30;
const pauseMs = 1000;

interface Numbered {
  readonly task: Task | BadLine;
  /** Bytes of the input up to its end. */
  readonly bytes: number;
}

async function* tasksOf(file: string, model: string | undefined): AsyncGenerator<Numbered> {
  const input = file === "-" ? process.stdin : createReadStream(file);
  let number = 0;
  let bytes = 0;
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    bytes += Buffer.byteLength(line) + 1;
    number++;
    if (line.trim() !== "") yield { task: readLine(line, number, model), bytes };
  }
}

/**
 * One request; a busy server is asked again.
 * @throws AbortError, ConnectionError when the server is gone: the line stays for the next call
 */
async function answer(
  client: Client,
  task: Task | BadLine,
  signal: AbortSignal,
): Promise<OutputLine> {
  const custom_id = task.id;
  if ("problem" in task) {
    const error = { code: "invalid_line", message: task.problem };
    return { custom_id, response: null, error };
  }
  for (let tries = 1; ; tries++) {
    const { status, body } = await client.exchange("POST", task.path, task.body, signal);
    if (status !== 503 || tries === mostTries) {
      return { custom_id, response: { status_code: status, body }, error: null };
    }
    await Bun.sleep(pauseMs);
    signal.throwIfAborted();
  }
}

/** The output file, with the lines that are done. */
interface Output {
  readonly done: readonly string[];
  failed: number;
  write(line: OutputLine): void;
}

/** @throws UsageError when the file is no output of a batch */
function openOutput(context: Context, file: string): Output {
  if (file === "-") {
    return { done: [], failed: 0, write: (line) => context.out(renderLine(line)) };
  }
  const before = existsSync(file) ? readOutput(readFileSync(file, "utf8")) : undefined;
  if (existsSync(file)) {
    if (before === undefined) throw new UsageError(`"${file}" holds something else than answers`);
    truncateSync(file, before.bytes);
  }
  const handle = openSync(file, "a");
  return {
    done: before?.ids ?? [],
    failed: before?.failed ?? 0,
    write: (line) => {
      writeSync(handle, renderLine(line));
    },
  };
}

function parallelOf(parsed: ParsedArguments): number {
  const count = Number(flagText(parsed, "parallel") ?? "4");
  if (count >= 1) return count;
  throw new UsageError(`--parallel: "${count}" is less than 1`);
}

interface Work {
  readonly client: Client;
  readonly output: Output;
  readonly progress: Progress;
  readonly total: number;
  readonly parallel: number;
  readonly signal: AbortSignal;
}

/** Asks side by side, writes in order. Returns how many lines were written. */
async function carryOut(work: Work, tasks: AsyncIterable<Numbered>): Promise<number> {
  const { client, output, progress, total, parallel, signal } = work;
  const running: { answer: Promise<OutputLine>; bytes: number }[] = [];
  let seen = 0;
  let written = 0;
  const finishFirst = async () => {
    const first = running.shift();
    if (first === undefined) return;
    const line = await first.answer;
    output.write(line);
    written++;
    if (!succeeded(line)) output.failed++;
    progress.transfer("batch", "batch", first.bytes, total);
  };
  for await (const { task, bytes } of tasks) {
    const known = output.done[seen++];
    if (known !== undefined) {
      if (known === task.id) continue;
      throw new UsageError(`the output is of another input: it has "${known}" for "${task.id}"`);
    }
    const pending = answer(client, task, signal);
    // Who is waited for later must not be an unhandled rejection now.
    pending.catch(() => {});
    running.push({ answer: pending, bytes });
    if (running.length >= parallel) await finishFirst();
    if (signal.aborted) break;
  }
  while (running.length > 0) await finishFirst();
  return written;
}

export async function batch(context: Context, parsed: ParsedArguments): Promise<number> {
  const [input = "", file = ""] = parsed.positionals;
  if (input !== "-" && !existsSync(input)) throw new UsageError(`no file "${input}"`);
  const output = openOutput(context, file);
  const parallel = parallelOf(parsed);
  const total = input === "-" ? 0 : (await stat(input)).size;
  const client = await context.client({ daemonless: true });
  const interrupt = new AbortController();
  const cancel = () => interrupt.abort();
  process.once("SIGINT", cancel);
  let written = 0;
  try {
    using progress = new Progress(context, { quiet: isOn(parsed, "quiet") || total === 0 });
    const work = { client, output, progress, total, parallel, signal: interrupt.signal };
    written = await carryOut(work, tasksOf(input, flagText(parsed, "model")));
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    return exitCodes.interrupted;
  } finally {
    process.off("SIGINT", cancel);
  }
  const skipped = output.done.length > 0 ? `, ${output.done.length} were there already` : "";
  context.note(`${written} done, ${output.failed} failed${skipped}\n`);
  return output.failed === 0 ? exitCodes.ok : exitCodes.error;
}
