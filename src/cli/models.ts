/** `list`, `ps`, `cp`, `rm`, `stop`, `pull`, `push` (cli.md 3, 5). */
import { ServerError, UsageError } from "../errors.ts";
import { humanBytes, humanTime } from "../model/human.ts";
import type { ParsedArguments } from "./arguments.ts";
import { isOn } from "./arguments.ts";
import type { Client, Json } from "./client.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { Progress } from "./progress.ts";
import { table } from "./table.ts";

function models(answer: Json): Json[] {
  return Array.isArray(answer.models) ? (answer.models as Json[]) : [];
}

export async function list(context: Context, parsed: ParsedArguments): Promise<number> {
  const client = await context.client({ daemonless: true });
  const prefix = parsed.positionals[0]?.toLowerCase();
  const rows = models(await client.call("GET", "/api/tags"))
    .filter(({ name }) => prefix === undefined || String(name).toLowerCase().startsWith(prefix))
    .map((model) => [
      String(model.name),
      String(model.digest).slice(0, 12),
      model.remote_model ? "-" : humanBytes(Number(model.size)),
      humanTime(Date.parse(String(model.modified_at)), "Never"),
    ]);
  context.out(table(["NAME", "ID", "SIZE", "MODIFIED"], rows));
  return exitCodes.ok;
}

function processor(size: number, gpu: number): string {
  if (gpu === 0) return "100% CPU";
  if (gpu === size) return "100% GPU";
  if (gpu > size || size === 0) return "Unknown";
  const cpu = Math.round((100 * (size - gpu)) / size);
  return `${cpu}%/${100 - cpu}% CPU/GPU`;
}

function until(expires: number): string {
  return expires < Date.now() ? "Stopping..." : humanTime(expires, "Never");
}

export async function ps(context: Context, parsed: ParsedArguments): Promise<number> {
  const client = await context.client({ daemonless: false });
  const prefix = parsed.positionals[0];
  const rows = models(await client.call("GET", "/api/ps"))
    .filter(({ name }) => prefix === undefined || String(name).startsWith(prefix))
    .map((model) => [
      String(model.name),
      String(model.digest).slice(0, 12),
      humanBytes(Number(model.size)),
      processor(Number(model.size), Number(model.size_vram ?? 0)),
      String(model.context_length ?? 0),
      until(Date.parse(String(model.expires_at))),
    ]);
  context.out(table(["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"], rows));
  return exitCodes.ok;
}

export async function copy(context: Context, parsed: ParsedArguments): Promise<number> {
  const client = await context.client({ daemonless: true });
  const [source, destination] = parsed.positionals;
  await client.call("POST", "/api/copy", { source, destination });
  context.out(`copied '${source}' to '${destination}'\n`);
  return exitCodes.ok;
}

/** Asks for a model to be unloaded. @throws ServerError */
async function unload(client: Client, model: string): Promise<void> {
  await client.call("POST", "/api/generate", { model, prompt: "", keep_alive: 0, stream: false });
}

export async function remove(context: Context, parsed: ParsedArguments): Promise<number> {
  const client = await context.client({ daemonless: true });
  for (const model of parsed.positionals) {
    try {
      await unload(client, model);
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      if (!/not found/.test(error.message)) {
        context.note(`Warning: unable to stop model '${model}'\n`);
      }
    }
    await client.call("DELETE", "/api/delete", { model });
    context.out(`deleted '${model}'\n`);
  }
  return exitCodes.ok;
}

export async function stop(context: Context, parsed: ParsedArguments): Promise<number> {
  const client = await context.client({ daemonless: false });
  const model = parsed.positionals[0] ?? "";
  try {
    await client.call("POST", "/api/show", { model });
    await unload(client, model);
  } catch (error) {
    if (error instanceof ServerError && /not found/.test(error.message)) {
      throw new UsageError(`couldn't find model "${model}" to stop`, { cause: error });
    }
    throw error;
  }
  return exitCodes.ok;
}

/** Pull or push: shows the server's progress. */
export async function transfer(
  context: Context,
  parsed: ParsedArguments,
  action: "pull" | "push",
): Promise<number> {
  const client = await context.client({ daemonless: true });
  const body = { model: parsed.positionals[0], insecure: isOn(parsed, "insecure") };
  using progress = new Progress(context);
  for await (const line of client.stream(`/api/${action}`, body)) {
    progress.status(String(line.status ?? ""));
  }
  return exitCodes.ok;
}
