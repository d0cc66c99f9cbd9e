/** `hutch pull MODEL`, `hutch push MODEL` (cli.md 3, 6). */
import { errorMessage, ServerError } from "../errors.ts";
import { isOn, type ParsedArguments } from "./arguments.ts";
import type { Client } from "./client.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { follow, Progress } from "./terminal/progress.ts";

/** Pulls a model, showing how far it is. @throws ServerError */
export async function pullModel(
  client: Client,
  progress: Progress,
  body: {
    readonly model: string;
    readonly insecure: boolean;
    /** What the manifest must hash to. */
    readonly digest?: string;
    /** Digests of the files that the hub must have, where it keeps the model in shards. */
    readonly shards?: readonly string[];
  },
  signal?: AbortSignal,
): Promise<void> {
  const lines = client.stream("/api/pull", body, signal);
  await follow(progress, lines, (_, digits) => `pulling ${digits}:`);
}

export async function pull(context: Context, parsed: ParsedArguments): Promise<number> {
  const client = await context.client({ daemonless: true });
  using progress = new Progress(context, { quiet: isOn(parsed, "quiet") });
  const [model = ""] = parsed.positionals;
  await pullModel(client, progress, { model, insecure: isOn(parsed, "insecure") });
  return exitCodes.ok;
}

const forbidden =
  "you are not authorized to push to this namespace, create the model under a namespace you own";

export async function push(context: Context, parsed: ParsedArguments): Promise<number> {
  const client = await context.client({ daemonless: true });
  const [model = ""] = parsed.positionals;
  {
    using progress = new Progress(context, { quiet: isOn(parsed, "quiet") });
    const lines = client.stream("/api/push", { model, insecure: isOn(parsed, "insecure") });
    try {
      await follow(progress, lines, (_, digits) => `pushing ${digits}...`);
    } catch (error) {
      // The registry's own words do not say what a person can do about it (cli.md 3).
      if (!/access denied/.test(errorMessage(error))) throw error;
      throw new ServerError(forbidden, 403, undefined, { cause: error });
    }
  }
  context.out(`\nYou can find your model at:\n\n\t${model.replace(/^https?:\/\//, "")}\n`);
  return exitCodes.ok;
}
