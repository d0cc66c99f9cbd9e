/**
 * `hutch serve --fake`: the server with an engine that has no weights and no native code, for tests of
 * clients. Everything but the model is the real server's; its store is a temporary folder.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../config/env.ts";
import { FakeEngine } from "../../engine/fake.ts";
import { UsageError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { isValidName, parseName } from "../../model/name.ts";
import { flagText, flagTexts, isOn, type ParsedArguments } from "../arguments.ts";
import { createLocal, type Local } from "../local.ts";
import { fakeModels, fakeVectorLength } from "./models.ts";
import { fakeReply } from "./reply.ts";

/** A number of a flag. @throws UsageError outside of its range */
function numberOf(parsed: ParsedArguments, flag: string, least: number): number | undefined {
  const text = flagText(parsed, flag);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && value >= least && value <= 1e9) return value;
  throw new UsageError(`--${flag} "${text}": expected a number from ${least} to 1000000000`);
}

/** A whole number of a flag. @throws UsageError */
function wholeOf(parsed: ParsedArguments, flag: string, least: number): number | undefined {
  const value = numberOf(parsed, flag, least);
  if (value === undefined || Number.isInteger(value)) return value;
  throw new UsageError(`--${flag} "${value}": expected a whole number`);
}

/** @throws UsageError for flags that say nothing sensible */
export function createFake(
  config: Config,
  logger: Logger,
  parsed: ParsedArguments,
  options: { guardHosts: boolean },
): Local {
  if (!isOn(parsed, "fake")) throw new UsageError("flags of the fake go with --fake only");
  const rate = numberOf(parsed, "fake-rate", 0.001);
  const delay = numberOf(parsed, "fake-delay", 0) ?? 0;
  const words = wholeOf(parsed, "fake-words", 1) ?? 32;
  const seed = wholeOf(parsed, "fake-seed", 0) ?? 0;
  const names = flagTexts(parsed, "fake-model").map((text) => {
    const name = parseName(text);
    if (!isValidName(name)) throw new UsageError(`--fake-model "${text}": no name of a model`);
    return name;
  });
  const engine = new FakeEngine({
    reply: (prompt, schemas) => fakeReply(prompt, { seed, words }, schemas),
    firstDelay: delay,
    ...(rate === undefined ? {} : { tokenRate: rate }),
    images: true,
    embeddingLength: fakeVectorLength,
  });
  const folder = mkdtempSync(join(config.tempFolder, "hutch-fake-"));
  const own: Config = {
    ...config,
    modelsFolder: join(folder, "models"),
    homeFolder: folder,
    cacheFolder: undefined,
  };
  const fake = { engine, models: (store: Local["deps"]["store"]) => fakeModels(store, names) };
  const local = createLocal(own, logger, { ...options, fake });
  return {
    ...local,
    app: {
      ...local.app,
      async handle(request, address) {
        const answer = await local.app.handle(request, address);
        answer.headers.set("x-hutch-fake", "true");
        return answer;
      },
    },
    async [Symbol.asyncDispose]() {
      await local[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
