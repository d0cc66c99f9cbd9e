/** Images and audio for a prompt: paths found in its text, files named by a flag (cli.md 4.1). */
import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { errorMessage, UsageError } from "../errors.ts";
import type { Json } from "./client.ts";
import type { Context } from "./context.ts";

/** Largest file, bytes. */
const largest = 100 * 1024 * 1024;

/** A path: a start that no word has, and an ending that says what it is. Blanks may be within. */
const path = /(?:[a-z]:)?(?:~|\.{1,2})?[/\\][^\t\r\n]*?\.(?:jpe?g|png|webp|wav)\b/gi;

/** Characters that shells put a backslash before when a file is dragged into a terminal. */
const escaped = /\\([ ()[\]{}$&;'"\\*?~`!#|<>])/g;

export interface Attachment {
  readonly kind: "image" | "audio";
  readonly base64: string;
}

/** Whether a model takes files at all, by the answer of show. */
export function takesFiles(info: Json): boolean {
  const capabilities = Array.isArray(info.capabilities) ? info.capabilities : [];
  if (capabilities.includes("vision") || capabilities.includes("audio")) return true;
  const keys = (value: unknown) => Object.keys((value ?? {}) as object);
  return (
    keys(info.projector_info).length > 0 ||
    keys(info.model_info).some((key) => key.includes(".vision."))
  );
}

function starts(bytes: Uint8Array, text: string, at = 0): boolean {
  return Buffer.from(bytes.subarray(at, at + text.length)).toString("latin1") === text;
}

/** Told from the bytes, not from the name. @throws UsageError */
function kindOf(bytes: Uint8Array): Attachment["kind"] {
  if (starts(bytes, "\x89PNG\r\n\x1a\n") || starts(bytes, "\xff\xd8\xff")) return "image";
  if (starts(bytes, "RIFF") && starts(bytes, "WEBP", 8)) return "image";
  if (starts(bytes, "RIFF") && starts(bytes, "WAVE", 8)) return "audio";
  const known: Readonly<Record<string, string>> = {
    GIF8: "image/gif",
    "%PDF": "application/pdf",
    BM: "image/bmp",
  };
  const found = Object.keys(known).find((magic) => starts(bytes, magic));
  const binary = bytes.subarray(0, 512).some((byte) => byte < 9);
  const type = known[found ?? ""] ?? (binary ? "application/octet-stream" : "text/plain");
  throw new UsageError(`invalid file type: ${type}`);
}

/**
 * Reads a file that is to go with a prompt.
 * @throws UsageError when it is no image or audio, or too large; what the file system says
 */
export async function readAttachment(file: string): Promise<Attachment> {
  const { size } = await stat(file);
  if (size > largest) throw new UsageError("file size exceeds maximum limit (100MB)");
  const bytes = await readFile(file);
  return { kind: kindOf(bytes), base64: bytes.toString("base64") };
}

/**
 * Takes the files out of a prompt and says which on stderr; paths that do not exist stay text.
 * @throws UsageError when a file cannot be sent
 */
export async function extractFiles(
  context: Context,
  prompt: string,
): Promise<{ prompt: string; images: string[] }> {
  const images: string[] = [];
  let rest = prompt;
  for (const [found] of prompt.matchAll(path)) {
    const plain = found.replace(escaped, "$1");
    const file = plain.startsWith("~") ? homedir() + plain.slice(1) : plain;
    try {
      const { kind, base64 } = await readAttachment(file);
      images.push(base64);
      context.note(`Added ${kind} '${plain}'\n`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") continue;
      context.note(`Couldn't process file: ${JSON.stringify(errorMessage(error))}\n`);
      throw error;
    }
    for (const form of [`'${plain}'`, `'${found}'`, `"${plain}"`, found]) {
      rest = rest.replaceAll(form, "");
    }
  }
  return { prompt: images.length > 0 ? rest.trim() : prompt, images };
}
