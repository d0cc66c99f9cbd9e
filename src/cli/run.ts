/** `hutch run MODEL [PROMPT]` (cli.md 4): one answer, or a chat in a terminal. */
import { formatGoDuration, parseGoDuration } from "../config/duration.ts";
import {
  errorMessage,
  ModelNotFoundError,
  ServerError,
  UnsupportedError,
  UsageError,
} from "../errors.ts";
import type { RunSettings } from "./answer.ts";
import { flagText, flagTexts, isOn, type ParsedArguments } from "./arguments.ts";
import { type Attachment, extractFiles, readAttachment, takesFiles } from "./attachments.ts";
import type { Client, Json } from "./client.ts";
import type { Context } from "./context.ts";
import { embedPrompt } from "./embed.ts";
import { type Deadline, type OneShot, oneShot, timedOut } from "./one-shot.ts";
import { readFormat, readMessages, readOptions, readTools } from "./run-flags.ts";
import { Progress } from "./terminal/progress.ts";
import { pullModel } from "./transfer.ts";

/** @throws UsageError */
function parseThinkFlag(text: string): boolean | string {
  if (text === "true" || text === "false") return text === "true";
  if (["high", "medium", "low", "max"].includes(text)) return text;
  throw new UsageError(
    `invalid value for --think: ${JSON.stringify(text)} (must be true, false, high, medium, low, or max)`,
  );
}

/** @throws UsageError in Go's words */
function parseDurationFlag(text: string): bigint {
  try {
    return parseGoDuration(text);
  } catch (error) {
    throw new UsageError(errorMessage(error), { cause: error });
  }
}

/** As Go prints it; zero is `0s`. */
function keepAliveOf(text: string): string {
  const ns = parseDurationFlag(text);
  return ns === 0n ? "0s" : formatGoDuration(ns);
}

/** `--timeout`, from now on. @throws UsageError */
function deadlineOf(text: string | undefined): Deadline | undefined {
  if (text === undefined) return undefined;
  let ns: bigint;
  try {
    ns = parseGoDuration(text);
  } catch (error) {
    throw new UsageError(`--timeout: ${errorMessage(error)}`, { cause: error });
  }
  const ms = Number(ns / 1_000_000n);
  if (ms <= 0) throw new UsageError(`--timeout: "${text}" is no time to wait`);
  return { ms, signal: AbortSignal.timeout(ms) };
}

/** A file of `--image`. @throws UsageError naming the flag and the file */
async function readImage(file: string): Promise<Attachment> {
  try {
    return await readAttachment(file);
  } catch (error) {
    throw new UsageError(`--image: cannot send "${file}": ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

async function readStdin(): Promise<string> {
  return new TextDecoder().decode(await new Response(Bun.stdin.stream()).bytes());
}

/** What is known of the model; a model that is not there is pulled first, unless `--offline` is given. */
async function showModel(
  context: Context,
  client: Client,
  parsed: ParsedArguments,
  model: string,
  signal: AbortSignal | undefined,
): Promise<Json> {
  const init = signal === undefined ? {} : { signal };
  try {
    return await client.call("POST", "/api/show", { model }, init);
  } catch (error) {
    if (!(error instanceof ServerError) || error.status !== 404) throw error;
    if (isOn(parsed, "offline")) {
      throw new ModelNotFoundError(
        `model "${model}" is not here, and --offline forbids pulling it`,
        { cause: error },
      );
    }
    using progress = new Progress(context);
    await pullModel(client, progress, { model, insecure: isOn(parsed, "insecure") }, signal);
    return client.call("POST", "/api/show", { model }, init);
  }
}

/** The flags that do not depend on the model. @throws UsageError */
async function settingsOf(parsed: ParsedArguments, model: string): Promise<RunSettings> {
  const think = flagText(parsed, "think");
  const keepAlive = flagText(parsed, "keepalive");
  return {
    model,
    format: await readFormat(flagText(parsed, "format")),
    keepAlive: keepAlive ? keepAliveOf(keepAlive) : undefined,
    think: think === undefined ? undefined : parseThinkFlag(think),
    options: readOptions(parsed),
    hideThinking: isOn(parsed, "hidethinking"),
    verbose: isOn(parsed, "verbose"),
    wordWrap: !isOn(parsed, "nowordwrap"),
  };
}

/** What else a single answer needs. @throws UsageError, and what the file system says */
async function oneShotOf(parsed: ParsedArguments): Promise<Omit<OneShot, "settings" | "prompt">> {
  const output = flagText(parsed, "output") ?? "text";
  if (output !== "text" && output !== "json" && output !== "ndjson") {
    throw new UsageError(`invalid value for --output: "${output}" (must be text, json, or ndjson)`);
  }
  const images = await Promise.all(flagTexts(parsed, "image").map(readImage));
  return {
    system: flagText(parsed, "system") ?? "",
    images: images.map(({ base64 }) => base64),
    messages: await readMessages(parsed),
    tools: await readTools(flagText(parsed, "tools")),
    output,
    deadline: deadlineOf(flagText(parsed, "timeout")),
    truncate: parsed.flags.has("truncate") ? isOn(parsed, "truncate") : undefined,
    checkFormat: parsed.own,
  };
}

/** Work that the deadline of the answer ends too. @throws TimeoutError */
async function inTime<T>(
  deadline: Deadline | undefined,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  try {
    return await work(deadline?.signal);
  } catch (error) {
    if (!deadline?.signal.aborted) throw error;
    throw timedOut(deadline, error);
  }
}

export async function run(context: Context, parsed: ParsedArguments): Promise<number> {
  const [model = "", ...words] = parsed.positionals;
  const settings = await settingsOf(parsed, model);
  const shot = await oneShotOf(parsed);
  const parts = [...words];
  if (!context.stdinIsTerminal) {
    const input = await readStdin();
    if (input !== "") parts.unshift(input);
  }
  const interactive =
    context.stdinIsTerminal &&
    context.stdoutIsTerminal &&
    parts.length === 0 &&
    shot.messages.length === 0;
  const { client, info } = await inTime(shot.deadline, async (signal) => {
    const found = await context.client({ daemonless: true, signal });
    return { client: found, info: await showModel(context, found, parsed, model, signal) };
  });
  const capabilities = Array.isArray(info.capabilities) ? info.capabilities.map(String) : [];
  const text = parts.join(" ");
  if (capabilities.includes("embedding")) return embedPrompt(context, client, parsed, text);
  if (capabilities.includes("image")) {
    throw new UnsupportedError("image generation models are not currently supported");
  }
  const think = settings.think ?? (capabilities.includes("thinking") ? true : undefined);
  const complete = { ...settings, think };
  if (interactive) {
    const { chat } = await import("./chat/session.ts");
    return chat(context, client, complete, info, shot.system);
  }
  const files = takesFiles(info) ? await extractFiles(context, text) : { prompt: text, images: [] };
  return oneShot(context, client, {
    ...shot,
    settings: complete,
    prompt: files.prompt,
    images: [...shot.images, ...files.images],
  });
}
