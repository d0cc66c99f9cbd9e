/**
 * Which files a path of a Modelfile stands for: one file, or what a folder holds of a model
 * (modelfile.md 5.6), and the names they are sent under.
 */
import { closeSync, openSync, readdirSync, readSync, realpathSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { ModelfileError } from "../errors.ts";

export interface LocalFile {
  /** Name in the request. */
  readonly name: string;
  readonly path: string;
}

/** Weights in the order in which they are looked for; the first kind that is there is taken. */
const weightPatterns: readonly RegExp[] = [
  /^([^/]+\/)?model[^/]*\.safetensors$/,
  /^adapter_model[^/]*\.safetensors$|^adapters\.safetensors$/,
  /^consolidated[^/]*\.safetensors$/,
  /^[^/]+\.gguf$/,
];
const pytorch = /^(pytorch_model[^/]*\.bin|consolidated[^/]*\.pth)$/;
/** What stands beside weights. */
const companions =
  /^([^/]+\/)?[^/]+\.json$|^chat_template\.jinja$|^([^/]+\/)?(tokenizer|sentencepiece\.bpe)\.model$/;

/** Files of a folder and of the folders in it, by their names below it. */
function listing(folder: string): string[] {
  const names: string[] = [];
  for (const entry of readdirSync(folder)) {
    const path = join(folder, entry);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isFile()) names.push(entry);
    else if (stat?.isDirectory() && !entry.startsWith(".")) {
      for (const inner of readdirSync(path)) {
        if (statSync(join(path, inner), { throwIfNoEntry: false })?.isFile()) {
          names.push(`${entry}/${inner}`);
        }
      }
    }
  }
  return names.sort();
}

/** Links out of a folder would send files that nobody meant. @throws ModelfileError */
function refuseOutside(folder: string, name: string): void {
  const target = relative(realpathSync(folder), realpathSync(join(folder, name)));
  if (!target.startsWith("..")) return;
  const hint = target.includes(".cache")
    ? "\n\nUse --local-dir <dir> when downloading model to disable caching"
    : "";
  throw new ModelfileError(`insecure path: ${target}${hint}`);
}

/** The first bytes tell text from weights. */
function isText(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const start = Buffer.alloc(512);
    const got = readSync(file, start, 0, start.length, 0);
    return !start.subarray(0, got).includes(0);
  } finally {
    closeSync(file);
  }
}

/**
 * @param path an existing file or folder
 * @throws ModelfileError when a folder holds no model
 */
export function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = listing(path);
  const kind = weightPatterns.find((pattern) => names.some((name) => pattern.test(name)));
  if (kind === undefined) {
    throw new ModelfileError(
      names.some((name) => pytorch.test(name))
        ? `"${path}" holds PyTorch weights, which cannot be converted; supported: safetensors, GGUF`
        : "no Modelfile or safetensors files found",
    );
  }
  const weights = names.filter((name) => kind.test(name));
  const gguf = weights[0]?.endsWith(".gguf") ?? false;
  // A GGUF says everything itself.
  const beside = gguf ? [] : names.filter((name) => companions.test(name));
  for (const name of [...weights, ...beside]) refuseOutside(path, name);
  const noText = beside.find((name) => name.endsWith(".json") && !isText(join(path, name)));
  if (noText !== undefined) throw new ModelfileError(`invalid content type for "${noText}"`);
  return [...weights, ...beside].map((name) => join(path, name));
}

/** One file by its base name, several relative to their common folder. */
export function requestNames(paths: readonly string[]): LocalFile[] {
  const folders = paths.map((path) => path.split(sep).slice(0, -1));
  const [first = []] = folders;
  let common = 0;
  while (common < first.length && folders.every((parts) => parts[common] === first[common])) {
    common++;
  }
  return paths.map((path) => ({ path, name: path.split(sep).slice(common).join("/") }));
}
