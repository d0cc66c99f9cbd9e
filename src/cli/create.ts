/** `hutch create MODEL -f Modelfile` (modelfile.md 5). */
import { createReadStream, existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { ModelfileError, ModelNameError, UnsupportedError, UsageError } from "../errors.ts";
import {
  decodeModelfile,
  type ModelfileCommand,
  parseModelfile,
} from "../model/modelfile/parse.ts";
import { modelfileFields } from "../model/modelfile/request.ts";
import { isValidName, parseName } from "../model/name.ts";
import type { ParsedArguments } from "./arguments.ts";
import type { Client } from "./client.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./exit-codes.ts";
import { Progress } from "./progress.ts";

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

/** Files behind a path: the file itself, or what a folder holds of a model. */
async function filesOf(path: string): Promise<string[]> {
  if (!statSync(path).isDirectory()) return [path];
  const names = [
    ...new Bun.Glob("*").scanSync({ cwd: path, onlyFiles: true, followSymlinks: true }),
  ].sort();
  const safetensors = names.filter((name) =>
    /^(model|consolidated|adapter).*\.safetensors$/.test(name),
  );
  if (safetensors.length > 0) {
    throw new UnsupportedError(
      `"${path}" holds safetensors: this version cannot convert them yet; supported: GGUF`,
    );
  }
  const weights = names.filter((name) => name.endsWith(".gguf"));
  if (weights.length === 0) throw new UsageError("no Modelfile or safetensors files found");
  for (const name of weights) {
    const target = realpathSync(join(path, name));
    const outside = relative(realpathSync(path), target);
    if (outside.startsWith("..")) throw new UsageError(`insecure path: ${name}`);
  }
  return weights.map((name) => join(path, name));
}

async function digestOf(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }))
    hasher.update(chunk);
  return `sha256:${hasher.digest("hex")}`;
}

/** Names in the request: one file by its base name, several relative to their common folder. */
function requestNames(paths: readonly string[]): string[] {
  if (paths.length === 1) return paths.map((path) => basename(path));
  const parts = paths.map((path) => dirname(path).split(sep));
  const [first = []] = parts;
  let common = 0;
  while (common < first.length && parts.every((list) => list[common] === first[common])) common++;
  const root = first.slice(0, common).join(sep) || sep;
  return paths.map((path) => relative(root, path).split(sep).join("/"));
}

/** Uploads files that the server lacks; file name → digest. */
async function upload(
  client: Client,
  paths: readonly string[],
  progress: Progress,
): Promise<Record<string, string>> {
  const names = requestNames(paths);
  const files: Record<string, string> = {};
  for (const [i, path] of paths.entries()) {
    const digest = await digestOf(path);
    const there = (await client.head(`/api/blobs/${digest}`)) === 200;
    if (!there) {
      progress.status(`copying file ${digest}`);
      await client.upload(`/api/blobs/${digest}`, Bun.file(path));
      progress.replace(`copying file ${digest} 100%`);
    }
    files[names[i] ?? basename(path)] = digest;
  }
  return files;
}

export async function create(context: Context, parsed: ParsedArguments): Promise<number> {
  const model = parsed.positionals[0] ?? "";
  if (!isValidName(parseName(model))) throw new ModelNameError(`invalid model name: ${model}`);
  const { commands, folder } = readModelfile(parsed.flags.get("file"));
  const fields = modelfileFields(commands);
  for (const warning of fields.warnings) context.note(`${warning}\n`);
  if (parsed.flags.get("draft-quantize") && fields.drafts.length === 0) {
    throw new UsageError("--draft-quantize requires a DRAFT model");
  }
  if (fields.drafts.length > 0) {
    throw new UnsupportedError("DRAFT: this version cannot use draft models yet");
  }
  using progress = new Progress(context);
  progress.status("gathering model components");
  const weights: string[] = [];
  let from: string | undefined;
  for (const text of fields.from) {
    const path = locate(text, folder);
    // A file or folder wins over a model of that name (modelfile.md 5.5).
    if (existsSync(path)) weights.push(...(await filesOf(path)));
    else from = text;
  }
  const adapterPaths: string[] = [];
  for (const text of fields.adapters.slice(-1)) {
    const path = locate(text, folder);
    if (!existsSync(path)) throw new ModelfileError(`open ${path}: no such file or directory`);
    adapterPaths.push(...(await filesOf(path)));
  }
  const client = await context.client({ daemonless: true });
  const files = weights.length > 0 ? await upload(client, weights, progress) : undefined;
  const adapters =
    adapterPaths.length > 0 ? await upload(client, adapterPaths, progress) : undefined;
  const quantize = parsed.flags.get("quantize");
  const { template, system, license, parameters, messages, renderer, parser, requires } = fields;
  const body = {
    model,
    ...(from === undefined ? {} : { from }),
    ...(files === undefined ? {} : { files }),
    ...(adapters === undefined ? {} : { adapters }),
    template,
    system,
    license,
    parameters,
    messages,
    renderer,
    parser,
    requires,
    ...(quantize ? { quantize } : {}),
  };
  const json = JSON.parse(
    JSON.stringify(body, (_, value) => (typeof value === "bigint" ? Number(value) : value)),
  );
  for await (const line of client.stream("/api/create", json)) {
    progress.status(String(line.status ?? ""));
  }
  return exitCodes.ok;
}
