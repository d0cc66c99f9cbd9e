/** One prompt, one answer (cli.md 4.1 and 4.2), as text, as one JSON object or as lines of JSON. */
import { FormatError, TimeoutError } from "../errors.ts";
import { type RunSettings, settingsBody, timings, toolCallText } from "./answer.ts";
import type { Client, Json } from "./client.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import type { Message } from "./run-flags.ts";
import { Printer } from "./terminal/printer.ts";
import { Progress } from "./terminal/progress.ts";

/** When the answer has to be there. */
export interface Deadline {
  readonly ms: number;
  readonly signal: AbortSignal;
}

/** What a deadline that is over ends with. */
export function timedOut({ ms }: Deadline, cause: unknown): TimeoutError {
  return new TimeoutError(`no whole answer within ${ms / 1000} s`, { cause });
}

export interface OneShot {
  readonly settings: RunSettings;
  readonly prompt: string;
  readonly system: string;
  readonly images: readonly string[];
  /** What was said before the prompt. */
  readonly messages: readonly Message[];
  readonly tools: readonly unknown[] | undefined;
  readonly output: "text" | "json" | "ndjson";
  readonly deadline: Deadline | undefined;
  /** false: a prompt that is too long is an error. */
  readonly truncate: boolean | undefined;
  /** Whether an answer that is not in the format asked for is an error. */
  readonly checkFormat: boolean;
}

/** A conversation goes to `/api/chat`, a lone prompt to `/api/generate`, as Ollama sends it. */
function request(shot: OneShot): { path: string; body: Json } {
  const { settings, prompt, system, images, messages, tools, truncate } = shot;
  const shared = {
    ...settingsBody(settings),
    ...(truncate === undefined ? {} : { truncate, ...(truncate ? {} : { shift: false }) }),
  };
  if (messages.length === 0 && tools === undefined) {
    const texts = { prompt, suffix: "", system, template: "" };
    return {
      path: "/api/generate",
      body: { ...shared, ...texts, ...(images.length > 0 ? { images } : {}) },
    };
  }
  const all: Message[] = system === "" ? [] : [{ role: "system", content: system }];
  all.push(...messages);
  if (prompt !== "" || images.length > 0) {
    all.push({
      role: "user",
      content: prompt,
      ...(images.length > 0 ? { images: [...images] } : {}),
    });
  }
  return {
    path: "/api/chat",
    body: { ...shared, messages: all, ...(tools === undefined ? {} : { tools }) },
  };
}

interface Piece {
  readonly text: string;
  readonly thinking: string;
  readonly calls: unknown[];
}

/** What a line of either endpoint says. */
function pieceOf(line: Json): Piece {
  const message = (line.message ?? line) as Json;
  return {
    text: String(message.content ?? message.response ?? ""),
    thinking: String(message.thinking ?? ""),
    calls: Array.isArray(message.tool_calls) ? message.tool_calls : [],
  };
}

/** @throws FormatError */
function checkFormat(shot: OneShot, text: string): void {
  if (!shot.checkFormat || shot.settings.format === undefined) return;
  try {
    JSON.parse(text);
  } catch (error) {
    throw new FormatError(
      "the answer is not in the format asked for: it is no whole JSON value (raise --max-tokens?)",
      { cause: error },
    );
  }
}

/** Streams an answer as text. Returns its final line and its whole text. */
async function printText(
  context: Context,
  lines: AsyncIterable<Json>,
  shot: OneShot,
): Promise<{ final: Json; text: string }> {
  const printer = new Printer(context, shot.settings);
  const progress = new Progress(context);
  if (context.stderrIsTerminal) progress.status("loading");
  let final: Json = {};
  let text = "";
  try {
    for await (const line of lines) {
      progress.clear();
      const piece = pieceOf(line);
      printer.thinking(piece.thinking);
      printer.text(piece.text);
      text += piece.text;
      if (piece.calls.length > 0) {
        const known = piece.calls.map((call) => JSON.stringify(call)).join("\n");
        printer.text(shot.tools === undefined ? toolCallText(piece.calls) : known);
      }
      if (line.done) final = line;
    }
  } finally {
    progress.clear();
    printer.end();
  }
  const empty = shot.prompt === "" && shot.messages.length === 0;
  if (!empty) context.out("\n\n");
  return { final, text };
}

async function answer(
  context: Context,
  client: Client,
  shot: OneShot,
  signal: AbortSignal,
): Promise<void> {
  const { path, body } = request(shot);
  if (shot.output === "json") {
    const whole = await client.call("POST", path, { ...body, stream: false }, { signal });
    context.out(`${JSON.stringify(whole)}\n`);
    checkFormat(shot, pieceOf(whole).text);
    return;
  }
  const lines = client.stream(path, body, signal);
  let { final, text } = { final: {} as Json, text: "" };
  if (shot.output === "ndjson") {
    for await (const line of lines) {
      context.out(`${JSON.stringify(line)}\n`);
      text += pieceOf(line).text;
      if (line.done) final = line;
    }
  } else ({ final, text } = await printText(context, lines, shot));
  if (shot.settings.verbose) context.note(timings(final));
  checkFormat(shot, text);
}

/**
 * Asks and prints. Ctrl-C and the time-out end the request; what was printed stays.
 * @throws TimeoutError, FormatError, ServerError
 */
export async function oneShot(context: Context, client: Client, shot: OneShot): Promise<number> {
  const interrupt = new AbortController();
  const cancel = () => interrupt.abort();
  process.once("SIGINT", cancel);
  const { deadline } = shot;
  const signals = [interrupt.signal, ...(deadline === undefined ? [] : [deadline.signal])];
  const signal = AbortSignal.any(signals);
  try {
    await answer(context, client, shot, signal);
  } catch (error) {
    if (interrupt.signal.aborted) return exitCodes.interrupted;
    if (!deadline?.signal.aborted) throw error;
    throw timedOut(deadline, error);
  } finally {
    process.off("SIGINT", cancel);
  }
  return exitCodes.ok;
}
