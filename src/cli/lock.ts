/** `hutch lock MODEL…`: pins models to their digests; `pull --frozen` pulls what is pinned. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { LockError, UsageError } from "../errors.ts";
import { fullName, parseName } from "../model/name.ts";
import {
  drift,
  type Lock,
  lockKey,
  lockModel,
  parseLock,
  renderLock,
  withModels,
} from "../model/pinned.ts";
import { flagText, isOn, type ParsedArguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { localStore, storeWith } from "./local-store.ts";
import { Progress } from "./terminal/progress.ts";
import { pullModel } from "./transfer.ts";

function fileOf(parsed: ParsedArguments): string {
  return flagText(parsed, "lock-file") ?? "models.lock";
}

/** The lock that a command line means. @throws LockError */
export function readLock(parsed: ParsedArguments): Lock {
  const file = fileOf(parsed);
  if (!existsSync(file)) throw new LockError(`no "${file}" here: hutch lock MODEL makes it`);
  return parseLock(readFileSync(file, "utf8"), file);
}

export async function lock(context: Context, parsed: ParsedArguments): Promise<number> {
  const file = fileOf(parsed);
  if (isOn(parsed, "key")) {
    context.out(`${lockKey(readLock(parsed))}\n`);
    return exitCodes.ok;
  }
  if (isOn(parsed, "check")) {
    const lines = drift(localStore(context), readLock(parsed));
    context.out(lines.map((line) => `${line}\n`).join(""));
    return lines.length === 0 ? exitCodes.ok : exitCodes.drift;
  }
  if (parsed.positionals.length === 0) throw new UsageError("lock: name the models to pin");
  const store = await storeWith(context, parsed.positionals);
  const before: Lock = existsSync(file) ? readLock(parsed) : { version: 1, models: [] };
  const models = parsed.positionals.map((name) => lockModel(store, name));
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, renderLock(withModels(before, models)));
  renameSync(temporary, file);
  for (const { name, digest } of models) context.out(`locked ${name} at ${digest.slice(0, 12)}\n`);
  return exitCodes.ok;
}

/**
 * Pulls the models of a lock, or those named; what the registry has now must be what is pinned.
 * @throws LockError, ServerError of kind `lock` for a model that has changed
 */
export async function pullFrozen(context: Context, parsed: ParsedArguments): Promise<number> {
  const { models } = readLock(parsed);
  const named = parsed.positionals.map((text) => fullName(parseName(text)));
  for (const name of named) {
    if (models.some((model) => model.name === name)) continue;
    throw new LockError(`"${name}" is not in "${fileOf(parsed)}"`);
  }
  const wanted = models.filter(({ name }) => named.length === 0 || named.includes(name));
  const client = await context.client({ daemonless: true });
  const { models: present } = await client.call("GET", "/api/tags");
  const there = new Map(
    (Array.isArray(present) ? present : []).map(({ name, digest }: Record<string, unknown>) => [
      fullName(parseName(String(name))),
      String(digest),
    ]),
  );
  for (const { name, digest, shards } of wanted) {
    if (there.get(name) === digest) continue;
    using progress = new Progress(context, { quiet: isOn(parsed, "quiet") });
    const insecure = isOn(parsed, "insecure");
    await pullModel(client, progress, {
      model: name,
      insecure,
      digest,
      ...(shards === undefined ? {} : { shards }),
    });
  }
  return exitCodes.ok;
}
