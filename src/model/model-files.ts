/**
 * Which files of a folder make a model (modelfile.md 5.6): names decide, first bytes must agree; and
 * the names that they have in a request.
 */
import { closeSync, openSync, readSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { UsageError } from "../errors.ts";

type Content = "text/plain" | "application/zip" | "application/octet-stream";

/** Weights, as patterns of which the first that matches counts. */
const weights: readonly (readonly [pattern: string, content: Content | undefined])[] = [
  ["{,*/}model*.safetensors", undefined],
  ["{,*/}adapter_model*.safetensors", undefined],
  ["{,*/}adapters*.safetensors", undefined],
  ["consolidated*.safetensors", undefined],
  ["pytorch_model*.bin", "application/zip"],
  ["consolidated*.pth", "application/zip"],
  ["*.gguf", "application/octet-stream"],
  ["*.bin", "application/octet-stream"],
];

/** What goes along with weights. */
const companions: readonly (readonly [pattern: string, content: Content | undefined])[] = [
  ["{,*/}*.json", "text/plain"],
  ["{,*/}chat_template.jinja", undefined],
  ["{,*/}tokenizer.model", "application/octet-stream"],
];

/** Bytes that content is told from. */
const sniffed = 512;

function contentOf(path: string): Content {
  const bytes = new Uint8Array(sniffed);
  const file = openSync(path, "r");
  let length = 0;
  try {
    length = readSync(file, bytes);
  } finally {
    closeSync(file);
  }
  const head = bytes.subarray(0, length);
  if (Buffer.from(head.subarray(0, 4)).toString("latin1") === "PK\x03\x04")
    return "application/zip";
  // Control characters that no text has.
  const binary = head.some((byte) => byte < 9 || byte === 11 || (byte > 13 && byte < 27));
  return binary ? "application/octet-stream" : "text/plain";
}

/** At the beginning of a pattern: in the folder itself, or in one below it. */
const anywhere = "{,*/}";

/** Paths of a folder that match, in order of their names; links stay as they are named. */
function matching(folder: string, pattern: string): string[] {
  // Bun 1.4.5 finds nothing by a pattern that begins with such a choice.
  const rest = pattern.startsWith(anywhere) ? pattern.slice(anywhere.length) : undefined;
  const patterns = rest === undefined ? [pattern] : [rest, `*/${rest}`];
  return patterns.flatMap((one) =>
    [...new Bun.Glob(one).scanSync({ cwd: folder, onlyFiles: false, followSymlinks: true })]
      .filter((name) => statSync(join(folder, name)).isFile())
      .sort()
      .map((name) => join(folder, name)),
  );
}

/** @throws UsageError for a link that leads out of the folder */
function checkInside(folder: string, path: string): void {
  const within = relative(realpathSync(folder), realpathSync(path));
  if (within !== ".." && !within.startsWith(`..${sep}`)) return;
  const cached = within.includes(".cache");
  throw new UsageError(
    `insecure path: ${within}${cached ? "\n\nUse --local-dir <dir> when downloading model to disable caching" : ""}`,
  );
}

function checked(
  folder: string,
  [pattern, content]: readonly [string, Content | undefined],
): string[] {
  const paths = matching(folder, pattern);
  for (const path of paths) {
    checkInside(folder, path);
    if (content !== undefined && contentOf(path) !== content) {
      throw new UsageError(`invalid content type: expected "${content}" for ${path}`);
    }
  }
  return paths;
}

/**
 * The file itself, or what a folder holds of a model.
 * @throws UsageError when a folder holds none, or files that are not what their names say
 */
export function modelFiles(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  for (const group of weights) {
    const found = checked(path, group);
    if (found.length === 0) continue;
    // A GGUF says everything about itself.
    if (group[0] === "*.gguf") return found;
    return [...found, ...companions.flatMap((companion) => checked(path, companion))];
  }
  throw new UsageError("no Modelfile or safetensors files found");
}

/** Names in the request: one file by its base name, several relative to their common folder. */
export function requestNames(paths: readonly string[]): string[] {
  if (paths.length === 1) return paths.map((path) => basename(path));
  const parts = paths.map((path) => dirname(path).split(sep));
  const [first = []] = parts;
  let common = 0;
  while (common < first.length && parts.every((list) => list[common] === first[common])) common++;
  const root = first.slice(0, common).join(sep) || sep;
  return paths.map((path) => relative(root, path).split(sep).join("/"));
}
