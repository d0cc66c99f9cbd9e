/** `hutch export MODEL FILE.tar`, `hutch import FILE.tar`: models for machines without a network. */
import { dirname, resolve } from "node:path";
import { ModelNotFoundError } from "../errors.ts";
import { type ArchiveProgress, exportModel } from "../model/archive/export.ts";
import { importModels } from "../model/archive/import.ts";
import { displayName } from "../model/name.ts";
import { flagText, isOn, type ParsedArguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { localStore, nameArgument, storeWith } from "./local-store.ts";
import { Progress } from "./terminal/progress.ts";

/** Shows blobs as they go by. */
function show(progress: Progress, verb: string): (each: ArchiveProgress) => void {
  return ({ digest, completed, total }) => {
    progress.transfer(digest, `${verb} ${digest.slice(7, 19)}`, completed, total);
  };
}

export async function exportArchive(context: Context, parsed: ParsedArguments): Promise<number> {
  const [model = "", file = ""] = parsed.positionals;
  const name = nameArgument(model);
  const path = resolve(file);
  {
    using progress = new Progress(context, { quiet: isOn(parsed, "quiet") });
    const target = { folder: dirname(path), path };
    try {
      await exportModel(await storeWith(context, [model]), name, target, show(progress, "writing"));
    } catch (error) {
      if (!(error instanceof ModelNotFoundError)) throw error;
      throw new ModelNotFoundError(`model '${model}' not found`, { cause: error });
    }
  }
  context.out(`exported '${displayName(name)}' to '${file}'\n`);
  return exitCodes.ok;
}

export async function importArchive(context: Context, parsed: ParsedArguments): Promise<number> {
  const [file = ""] = parsed.positionals;
  const text = flagText(parsed, "name");
  const as = text === undefined ? undefined : nameArgument(text);
  const names = await (async () => {
    using progress = new Progress(context, { quiet: isOn(parsed, "quiet") });
    return importModels(localStore(context), resolve(file), as, show(progress, "reading"));
  })();
  for (const name of names) context.out(`imported '${displayName(name)}'\n`);
  return exitCodes.ok;
}
