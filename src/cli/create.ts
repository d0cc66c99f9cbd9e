/** `hutch create MODEL -f Modelfile` (modelfile.md 5). */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { ModelfileError, ModelNameError, UsageError } from "../errors.ts";
import { modelFiles } from "../model/model-files.ts";
import {
  decodeModelfile,
  type ModelfileCommand,
  parseModelfile,
} from "../model/modelfile/parse.ts";
import { type ModelfileFields, modelfileFields } from "../model/modelfile/request.ts";
import { isValidName, parseName } from "../model/name.ts";
import { flagText, isOn, type ParsedArguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { sendFiles } from "./send-files.ts";
import { follow, Progress } from "./terminal/progress.ts";

/** The Modelfile's commands; a missing default file stands for `FROM .`. @throws ModelfileError */
function readModelfile(path: string | undefined): { commands: ModelfileCommand[]; folder: string } {
  const file = resolve(path ?? "Modelfile");
  if (!existsSync(file)) {
    if (path !== undefined) throw new UsageError("specified Modelfile wasn't found");
    return { commands: parseModelfile("FROM ."), folder: process.cwd() };
  }
  return { commands: parseModelfile(decodeModelfile(readFileSync(file))), folder: dirname(file) };
}

function locate(text: string, folder: string): string {
  if (text === "~" || text.startsWith("~/")) return join(homedir(), text.slice(1));
  return isAbsolute(text) ? text : resolve(folder, text);
}

/** What FROM, ADAPTER and DRAFT name: files, or for FROM a model. */
interface Sources {
  readonly from: string | undefined;
  readonly weights: readonly string[];
  readonly adapters: readonly string[];
  readonly drafts: readonly string[];
}

/** @throws UsageError, ModelfileError */
function sourcesOf(fields: ModelfileFields, folder: string): Sources {
  const weights: string[] = [];
  let from: string | undefined;
  for (const text of fields.from) {
    const path = locate(text, folder);
    // A file or folder wins over a model of that name (modelfile.md 5.5).
    if (existsSync(path)) weights.push(...modelFiles(path));
    else from = text;
  }
  const must = (text: string) => {
    const path = locate(text, folder);
    if (existsSync(path)) return path;
    throw new ModelfileError(`stat ${path}: no such file or directory`);
  };
  const bases = fields.from.map((text) => locate(text, folder));
  const drafts = fields.drafts.map((text) => {
    const path = must(text);
    if (!bases.includes(path)) return path;
    throw new UsageError(`DRAFT must not reference the same local path as FROM: ${path}`);
  });
  return {
    from,
    weights,
    adapters: fields.adapters.slice(-1).flatMap((text) => modelFiles(must(text))),
    drafts: drafts.flatMap((path) => modelFiles(path)),
  };
}

export async function create(context: Context, parsed: ParsedArguments): Promise<number> {
  const model = parsed.positionals[0] ?? "";
  if (!isValidName(parseName(model))) throw new ModelNameError(`invalid model name: ${model}`);
  const { commands, folder } = readModelfile(flagText(parsed, "file"));
  const fields = modelfileFields(commands);
  for (const warning of fields.warnings) context.note(`${warning}\n`);
  if (flagText(parsed, "draft-quantize") && fields.drafts.length === 0) {
    throw new UsageError("--draft-quantize requires a DRAFT model");
  }
  using progress = new Progress(context, { quiet: isOn(parsed, "quiet") });
  progress.status("gathering model components");
  const sources = sourcesOf(fields, folder);
  const client = await context.client({ daemonless: true });
  const sent = async (paths: readonly string[]) =>
    paths.length > 0 ? await sendFiles(client, paths, progress) : undefined;
  const files = await sent(sources.weights);
  const adapters = await sent(sources.adapters);
  const drafts = await sent(sources.drafts);
  const { template, system, license, parameters, messages, renderer, parser, requires } = fields;
  const body = {
    model,
    from: sources.from,
    files,
    adapters,
    draft_files: drafts,
    template,
    system,
    license,
    parameters,
    messages,
    renderer,
    parser,
    requires,
    quantize: flagText(parsed, "quantize") || undefined,
    draft_quantize: flagText(parsed, "draft-quantize") || undefined,
  };
  const json = JSON.parse(
    JSON.stringify(body, (_, value) => (typeof value === "bigint" ? Number(value) : value)),
  );
  await follow(progress, client.stream("/api/create", json), (status) => status);
  return exitCodes.ok;
}
