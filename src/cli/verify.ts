/** `hutch verify [MODEL]`: hashes again what the store holds; `--repair` pulls what is damaged. */
import { renameSync, rmSync } from "node:fs";
import { errorMessage, ModelNotFoundError, StoreError } from "../errors.ts";
import { humanBytes } from "../model/human.ts";
import { displayName, fullName, type ModelName } from "../model/name.ts";
import { drift } from "../model/pinned.ts";
import type { Store } from "../model/store.ts";
import { type BlobVerdict, modelsOf, planVerification, verifyBlob } from "../model/verify.ts";
import { isOn, type ParsedArguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { nameArgument, storeWith } from "./local-store.ts";
import { readLock } from "./lock.ts";
import { Progress } from "./terminal/progress.ts";
import { pullModel } from "./transfer.ts";

/** @throws ModelNotFoundError */
function requireModel(store: Store, name: ModelName, text: string): void {
  try {
    store.manifestBytes(name);
  } catch (cause) {
    throw new ModelNotFoundError(`model '${text}' not found`, { cause });
  }
}

export async function verify(context: Context, parsed: ParsedArguments): Promise<number> {
  const store = await storeWith(context, parsed.positionals);
  const [text] = parsed.positionals;
  const changed = isOn(parsed, "lock") ? drift(store, readLock(parsed)) : [];
  for (const line of changed) context.out(`${line}\n`);
  const only = text === undefined ? undefined : nameArgument(text);
  if (only !== undefined && !isOn(parsed, "repair")) requireModel(store, only, text ?? "");
  const { blobs, unreadable, models } = planVerification(store, only);
  const bad: BlobVerdict[] = [];
  {
    using progress = new Progress(context, { quiet: isOn(parsed, "quiet") });
    const sizes = [...blobs.keys()].map((digest) => Bun.file(store.blobPath(digest)).size);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    let read = 0;
    for (const [digest, names] of blobs) {
      const verdict = await verifyBlob(store, digest, names, (bytes) => {
        read += bytes;
        progress.transfer("verify", "verifying", Math.min(read, total), total);
      });
      if (verdict.state !== "sound") bad.push(verdict);
    }
  }
  for (const { name, reason } of unreadable) {
    context.out(`unreadable ${displayName(name)}: ${reason}\n`);
  }
  for (const each of bad) {
    context.out(`${each.state} ${each.digest} (${modelsOf(each)}): ${each.reason}\n`);
  }
  const wrong = bad.length + unreadable.length;
  const bytes = [...blobs.keys()].reduce((sum, d) => sum + Bun.file(store.blobPath(d)).size, 0);
  if (wrong === 0) {
    context.out(
      `${count(models, "model")}, ${count(blobs.size, "blob")}, ${humanBytes(bytes)}: all sound\n`,
    );
    return changed.length === 0 ? exitCodes.ok : exitCodes.drift;
  }
  if (isOn(parsed, "repair")) {
    const broken = new Map<string, ModelName>();
    for (const { name } of unreadable) broken.set(displayName(name), name);
    for (const each of bad) for (const name of each.models) broken.set(displayName(name), name);
    return repair(context, parsed, store, bad, [...broken.values()]);
  }
  context.out(
    `${count(wrong, "problem")} in ${count(models, "model")}: hutch verify --repair pulls them again\n`,
  );
  return exitCodes.error;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

/** Pulls broken models again; a damaged blob is only given up when the right one is there. */
async function repair(
  context: Context,
  parsed: ParsedArguments,
  store: Store,
  bad: readonly BlobVerdict[],
  models: readonly ModelName[],
): Promise<number> {
  const aside = bad
    .filter(({ state }) => state === "damaged")
    .map(({ digest }) => ({
      path: store.blobPath(digest),
      moved: `${store.blobPath(digest)}-damaged`,
    }));
  for (const { path, moved } of aside) renameSync(path, moved);
  let failed = 0;
  const insecure = isOn(parsed, "insecure");
  // By the application, which knows the embedded model and merges shards.
  const client = await context.client({ daemonless: true, never: true });
  for (const name of models) {
    try {
      using progress = new Progress(context, { quiet: isOn(parsed, "quiet") });
      await pullModel(client, progress, { model: fullName(name), insecure });
      if (store.lacksBlobs(name)) throw new StoreError("it still lacks blobs");
      context.out(`repaired ${displayName(name)}\n`);
    } catch (error) {
      failed++;
      context.out(`could not repair ${displayName(name)}: ${errorMessage(error)}\n`);
    }
  }
  for (const { path, moved } of aside) {
    if (await Bun.file(path).exists()) rmSync(moved, { force: true });
    else renameSync(moved, path);
  }
  return failed === 0 ? exitCodes.ok : exitCodes.error;
}
