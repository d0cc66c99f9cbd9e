/**
 * `hutch schema check`: how far a schema can be kept, and which instances the constraint engine and the
 * validator accept. Works in a child with the vocabulary of a model: a schema that makes the engine
 * crash or hang costs its own line only (docs/structured-output.md).
 */
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Checker, vocabularySpec } from "../engine/checker.ts";
import type { ConstraintReport } from "../engine/engine.ts";
import { errorMessage, UsageError } from "../errors.ts";
import { silentLogger } from "../logger.ts";
import { checkGguf } from "../model/gguf/check.ts";
import { type BatchLine, batchAnswer, readBatchLine } from "../schema/batch.ts";
import { compactText } from "../schema/json-text.ts";
import { ruleText } from "../schema/verdict.ts";
import { findModel, referenceOf } from "../server/inference/lookup.ts";
import { flagText, type ParsedArguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";

const never = new AbortController().signal;

interface Bench extends AsyncDisposable {
  check(schema: string, texts: readonly string[]): Promise<ConstraintReport>;
}

/** A checker with the tokenizer of a stored model. @throws ModelNotFoundError, GgufError */
async function openBench({ config }: Context, name: string): Promise<Bench> {
  const { createEngine, createLocal } = await import("./local.ts");
  await using local = createLocal(config, silentLogger, { guardHosts: false });
  const model = await findModel(local.deps, referenceOf(name), () => `model "${name}" not found`);
  const path = model.ggufPath;
  if (path === undefined) throw new UsageError(`model "${name}" has no weights`);
  checkGguf(path);
  const engine = createEngine(config, silentLogger);
  const checker = new Checker(() => engine.load(vocabularySpec(path), never));
  return {
    check: (text, texts) => checker.check({ kind: "schema", text }, texts, never),
    async [Symbol.asyncDispose]() {
      await checker[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}

/** A file's text, or the argument itself when it is JSON. @throws UsageError */
function readJson(argument: string): string {
  const text = existsSync(argument) ? readFileSync(argument, "utf8") : argument;
  try {
    JSON.parse(text);
  } catch (cause) {
    const what = text === argument ? "neither a file nor JSON" : "not JSON";
    throw new UsageError(`"${argument}" is ${what}: ${errorMessage(cause)}`, { cause });
  }
  return text;
}

async function checkOne(context: Context, bench: Bench, words: readonly string[]): Promise<number> {
  const [schema = "", ...instances] = words;
  // Blanks and line ends belong to files, not to what they say.
  const texts = instances.map((instance) => compactText(readJson(instance)));
  const report = await bench.check(readJson(schema), texts);
  context.out(`level: ${report.level}\n`);
  if (report.reason !== undefined) context.out(`  ${ruleText(report.reason)}\n`);
  if (report.level === "refused") return exitCodes.schemaRefused;
  let code: number = exitCodes.ok;
  for (const [i, { accepted, broken }] of report.verdicts.entries()) {
    const engine = accepted ? "accepted" : "refused";
    const validator = broken === undefined ? "accepted" : `refused ${ruleText(broken)}`;
    context.out(`${instances[i]}\n  engine: ${engine}\n  validator: ${validator}\n`);
    if (!accepted || broken !== undefined) code = exitCodes.formatNotMet;
  }
  return code;
}

async function checkLine(bench: Bench, line: BatchLine): Promise<string> {
  const texts = line.tests.map(compactText);
  try {
    return batchAnswer(line, await bench.check(line.schema, texts));
  } catch (error) {
    return batchAnswer(line, errorMessage(error));
  }
}

async function checkBatch(context: Context, bench: Bench, file: string): Promise<number> {
  if (!existsSync(file)) throw new UsageError(`open "${file}": no such file`);
  let number = 0;
  for await (const text of createInterface({
    input: createReadStream(file),
    crlfDelay: Infinity,
  })) {
    number++;
    if (text.trim() === "") continue;
    const line = readBatchLine(text, number);
    const answer =
      typeof line === "string"
        ? batchAnswer({ id: number, schema: "", tests: [] }, line)
        : undefined;
    context.out(`${answer ?? (await checkLine(bench, line as BatchLine))}\n`);
  }
  return exitCodes.ok;
}

export async function schema(context: Context, parsed: ParsedArguments): Promise<number> {
  const [verb, ...words] = parsed.positionals;
  const batch = flagText(parsed, "batch");
  if (verb !== "check") throw new UsageError(`unknown command "${verb}" for "hutch schema"`);
  if (batch === undefined && words.length === 0) {
    throw new UsageError("schema check needs a schema, or --batch FILE");
  }
  if (batch !== undefined && words.length > 0) {
    throw new UsageError("--batch takes its schemas from the file: no further arguments");
  }
  await using bench = await openBench(context, flagText(parsed, "model") ?? "guide");
  return await (batch === undefined
    ? checkOne(context, bench, words)
    : checkBatch(context, bench, batch));
}
