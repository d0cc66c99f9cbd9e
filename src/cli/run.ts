/** `hutch run MODEL [PROMPT]` (cli.md 4): one answer, or a chat in a terminal. */
import { formatGoDuration, parseGoDuration } from "../config/duration.ts";
import {
  errorMessage,
  isAbortError,
  ServerError,
  UnsupportedError,
  UsageError,
} from "../errors.ts";
import { formatValue, type RunSettings, timings } from "./answer.ts";
import { isOn, type ParsedArguments } from "./arguments.ts";
import type { Client, Json } from "./client.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { Printer } from "./printer.ts";
import { Progress } from "./progress.ts";

/** @throws UsageError */
function parseThinkFlag(text: string): boolean | string {
  if (text === "true" || text === "false") return text === "true";
  if (["high", "medium", "low", "max"].includes(text)) return text;
  throw new UsageError(
    `invalid value for --think: ${JSON.stringify(text)} (must be true, false, high, medium, low, or max)`,
  );
}

function parseKeepAliveFlag(text: string): string {
  try {
    const ns = parseGoDuration(text);
    return ns === 0n ? "0" : formatGoDuration(ns);
  } catch (error) {
    throw new UsageError(errorMessage(error), { cause: error });
  }
}

async function readStdin(): Promise<string> {
  return new TextDecoder().decode(await new Response(Bun.stdin.stream()).bytes());
}

/** What is known of the model; a model that is not there is pulled first. */
async function showModel(context: Context, client: Client, model: string): Promise<Json> {
  try {
    return await client.call("POST", "/api/show", { model });
  } catch (error) {
    if (!(error instanceof ServerError) || error.status !== 404) throw error;
    using progress = new Progress(context);
    for await (const line of client.stream("/api/pull", { model })) {
      progress.status(String(line.status ?? ""));
    }
    return client.call("POST", "/api/show", { model });
  }
}

async function embed(
  context: Context,
  client: Client,
  parsed: ParsedArguments,
  model: string,
  input: string,
): Promise<number> {
  if (input === "") {
    throw new UsageError(
      `embedding models require input text. Usage: hutch run ${model} "your text here"`,
    );
  }
  const dimensions = parsed.flags.get("dimensions");
  const truncate = parsed.flags.has("truncate") ? isOn(parsed, "truncate") : undefined;
  const answer = await client.call("POST", "/api/embed", {
    model,
    input,
    ...(dimensions === undefined ? {} : { dimensions: Number(dimensions) }),
    ...(truncate === undefined ? {} : { truncate }),
  });
  const [first] = Array.isArray(answer.embeddings) ? answer.embeddings : [];
  context.out(`${JSON.stringify(first ?? [])}\n`);
  return exitCodes.ok;
}

/** One prompt, one answer. Ctrl-C ends it with 0, as in Ollama. */
async function oneShot(
  context: Context,
  client: Client,
  settings: RunSettings,
  prompt: string,
): Promise<number> {
  const abort = new AbortController();
  const cancel = () => abort.abort();
  process.once("SIGINT", cancel);
  const body = {
    model: settings.model,
    prompt,
    suffix: "",
    system: "",
    template: "",
    options: {},
    ...(settings.format === undefined ? {} : { format: formatValue(settings.format) }),
    ...(settings.keepAlive === undefined ? {} : { keep_alive: settings.keepAlive }),
    ...(settings.think === undefined ? {} : { think: settings.think }),
  };
  const printer = new Printer(context, settings);
  let final: Json = {};
  try {
    const progress = new Progress(context);
    if (context.stderrIsTerminal) progress.status("loading");
    for await (const line of client.stream("/api/generate", body, abort.signal)) {
      progress.clear();
      printer.thinking(String(line.thinking ?? ""));
      printer.text(String(line.response ?? ""));
      if (line.done) final = line;
    }
  } catch (error) {
    if (isAbortError(error) || abort.signal.aborted) return exitCodes.ok;
    throw error;
  } finally {
    process.off("SIGINT", cancel);
  }
  printer.end();
  if (prompt !== "") context.out("\n\n");
  if (settings.verbose) context.note(timings(final));
  return exitCodes.ok;
}

export async function run(context: Context, parsed: ParsedArguments): Promise<number> {
  const [model = "", ...words] = parsed.positionals;
  const thinkText = parsed.flags.get("think");
  const keepAliveText = parsed.flags.get("keepalive");
  const settings = {
    model,
    format: parsed.flags.get("format"),
    keepAlive: keepAliveText ? parseKeepAliveFlag(keepAliveText) : undefined,
    think: thinkText === undefined ? undefined : parseThinkFlag(thinkText),
    hideThinking: isOn(parsed, "hidethinking"),
    verbose: isOn(parsed, "verbose"),
    wordWrap: !isOn(parsed, "nowordwrap"),
  };
  const parts = [...words];
  if (!context.stdinIsTerminal) {
    const input = await readStdin();
    if (input !== "") parts.unshift(input);
  }
  const interactive = context.stdinIsTerminal && context.stdoutIsTerminal && parts.length === 0;
  const client = await context.client({ daemonless: true });
  const info = await showModel(context, client, model);
  const capabilities = Array.isArray(info.capabilities) ? info.capabilities.map(String) : [];
  const prompt = parts.join(" ");
  if (capabilities.includes("embedding")) return embed(context, client, parsed, model, prompt);
  if (capabilities.includes("image")) {
    throw new UnsupportedError("image generation models are not currently supported");
  }
  const think = settings.think ?? (capabilities.includes("thinking") ? true : undefined);
  const complete = { ...settings, think };
  if (!interactive) return oneShot(context, client, complete, prompt);
  const { chat } = await import("./chat.ts");
  return chat(context, client, complete, info);
}
