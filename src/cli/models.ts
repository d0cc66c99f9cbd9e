/** `list`, `ps`, `cp`, `rm`, `stop` (cli.md 3, 5). */
import { ServerError, UsageError } from "../errors.ts";
import { humanBytes, humanTime } from "../model/human.ts";
import type { ParsedArguments } from "./arguments.ts";
import type { Client, Json } from "./client.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { table } from "./table.ts";

/** A list of the API, empty where there is none. */
export function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? (value as Json[]) : [];
}

/** A time of the API as milliseconds since 1970; Go's zero time is none. */
function moment(text: unknown): number | undefined {
  const time = Date.parse(String(text));
  return Number.isNaN(time) || String(text).startsWith("0001-01-01") ? undefined : time;
}

/** The table of models whose names begin with a prefix, in whatever case. */
export async function listText(client: Client, start: string | undefined): Promise<string> {
  const prefix = start?.toLowerCase();
  const rows = listOf((await client.call("GET", "/api/tags")).models)
    .filter(({ name }) => prefix === undefined || String(name).toLowerCase().startsWith(prefix))
    .map((model) => [
      String(model.name),
      String(model.digest).slice(0, 12),
      model.remote_model ? "-" : humanBytes(Number(model.size)),
      humanTime(moment(model.modified_at), "Never"),
    ]);
  return table(["NAME", "ID", "SIZE", "MODIFIED"], rows);
}

export async function list(context: Context, parsed: ParsedArguments): Promise<number> {
  const client = await context.client({ daemonless: true });
  context.out(await listText(client, parsed.positionals[0]));
  return exitCodes.ok;
}

/** Where a model of so many bytes is, by its bytes on GPUs. */
export function processor(size: number, gpu: number): string {
  if (gpu === 0) return "100% CPU";
  if (gpu === size) return "100% GPU";
  if (gpu > size || size === 0) return "Unknown";
  const cpu = Math.round((100 * (size - gpu)) / size);
  return `${cpu}%/${100 - cpu}% CPU/GPU`;
}

/** When a model goes, by milliseconds since 1970. */
export function until(expires: number): string {
  return expires < Date.now() ? "Stopping..." : humanTime(expires, "Never");
}

export async function ps(context: Context, parsed: ParsedArguments): Promise<number> {
  const client = await context.client({ daemonless: false });
  const prefix = parsed.positionals[0];
  const rows = listOf((await client.call("GET", "/api/ps")).models)
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

/** Asks for a model to be unloaded. @throws ServerError, of status 404 when there is no such model */
async function unload(client: Client, model: string): Promise<void> {
  await client.call("POST", "/api/show", { model });
  await client.call("POST", "/api/generate", { model, prompt: "", keep_alive: 0, stream: false });
}

function isMissing(error: unknown): boolean {
  return error instanceof ServerError && error.status === 404;
}

export async function remove(context: Context, parsed: ParsedArguments): Promise<number> {
  const client = await context.client({ daemonless: true });
  for (const model of parsed.positionals) {
    try {
      await unload(client, model);
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      if (!isMissing(error)) context.note(`Warning: unable to stop model '${model}'\n`);
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
    await unload(client, model);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new UsageError(`couldn't find model "${model}" to stop`, { cause: error });
  }
  return exitCodes.ok;
}
