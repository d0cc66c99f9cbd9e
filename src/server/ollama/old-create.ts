/**
 * The create request of 2024: a Modelfile's text, or its path on the server (modelfile.md 7), as a
 * request of today. Paths are read for clients on this machine only: for others they would be a way to
 * read its files.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { errorMessage, InvalidRequestError } from "../../errors.ts";
import type { CreateRequest } from "../../model/create/request.ts";
import { modelFiles, requestNames } from "../../model/model-files.ts";
import { decodeModelfile, parseModelfile } from "../../model/modelfile/parse.ts";
import { type ModelfileFields, modelfileFields } from "../../model/modelfile/request.ts";
import { isValidName, parseName } from "../../model/name.ts";
import type { Store } from "../../model/store.ts";
import type { CreateBody } from "./schemas.ts";

/** Who asks, and what the store can do for them. */
export interface OldFormContext {
  readonly store: Store;
  /** The client runs on this machine. */
  readonly local: boolean;
}

type Files = Record<string, string>;

/** Whether a body is in the old form: then nothing of the new one names a base. */
export function isOldForm(body: CreateBody): boolean {
  return Boolean(body.modelfile || body.path) && !body.from && body.files === undefined;
}

function requireLocal({ local }: OldFormContext, what: string): void {
  if (!local) {
    throw new InvalidRequestError(
      `${what}: files of the server can be named by clients on the same machine only`,
    );
  }
}

function readModelfile(path: string, context: OldFormContext): string {
  requireLocal(context, "path");
  try {
    return decodeModelfile(readFileSync(path));
  } catch (cause) {
    throw new InvalidRequestError(`error reading modelfile: ${errorMessage(cause)}`, { cause });
  }
}

function blobReference(text: string): string | undefined {
  return /^@(sha256[:-][0-9a-fA-F]{64})$/.exec(text)?.[1];
}

/** The file that a text names, where it exists. */
function located(text: string, folder: string): string | undefined {
  const home = text === "~" || text.startsWith("~/");
  const candidates = home
    ? [join(homedir(), text.slice(1))]
    : isAbsolute(text)
      ? [text]
      : [resolve(folder, text), resolve(text)];
  return candidates.find((path) => existsSync(path));
}

/** Takes files of this machine into the store; name → digest. */
async function stored(store: Store, path: string): Promise<Files> {
  const paths = modelFiles(path);
  const files: Files = {};
  for (const [i, name] of requestNames(paths).entries()) {
    files[name] = (await store.putFile(paths[i] ?? "")).digest;
  }
  return files;
}

async function baseOf(
  fields: ModelfileFields,
  folder: string,
  context: OldFormContext,
): Promise<Pick<CreateRequest, "from" | "files">> {
  let from: string | undefined;
  const files: Files = {};
  for (const text of fields.from) {
    const blob = blobReference(text);
    const named = isValidName(parseName(text));
    if (blob !== undefined) files[`model-${Object.keys(files).length}.gguf`] = blob;
    else if (named && context.store.manifest(parseName(text)) !== undefined) from = text;
    else {
      const path = context.local || !named ? located(text, folder) : undefined;
      if (path !== undefined) {
        requireLocal(context, `FROM ${text}`);
        Object.assign(files, await stored(context.store, path));
      } else if (named) from = text;
      else throw new InvalidRequestError(`invalid model reference: ${text}`);
    }
  }
  return Object.keys(files).length > 0 ? { files } : from === undefined ? {} : { from };
}

async function adaptersOf(
  fields: ModelfileFields,
  folder: string,
  context: OldFormContext,
): Promise<Files | undefined> {
  const text = fields.adapters.at(-1);
  return text === undefined ? undefined : await partOf("adapter", text, folder, context);
}

async function draftOf(
  fields: ModelfileFields,
  folder: string,
  context: OldFormContext,
): Promise<Files | undefined> {
  const files: Files = {};
  for (const text of fields.drafts) {
    Object.assign(files, await partOf("draft", text, folder, context));
  }
  return fields.drafts.length === 0 ? undefined : files;
}

/** The files that ADAPTER or DRAFT names. */
async function partOf(
  part: "adapter" | "draft",
  text: string,
  folder: string,
  context: OldFormContext,
): Promise<Files> {
  const blob = blobReference(text);
  if (blob !== undefined) return { [`${part}.gguf`]: blob };
  requireLocal(context, `${part.toUpperCase()} ${text}`);
  const path = located(text, folder);
  if (path === undefined) throw new InvalidRequestError(`invalid ${part} reference: ${text}`);
  return stored(context.store, path);
}

/** @throws ModelfileError, InvalidRequestError */
export async function fromOldForm(
  body: CreateBody,
  context: OldFormContext,
): Promise<Partial<CreateRequest>> {
  const path = body.path ? resolve(body.path) : undefined;
  const text = body.modelfile || readModelfile(path ?? "", context);
  const folder = path === undefined ? process.cwd() : dirname(path);
  const { from, adapters, drafts, warnings, ...fields } = modelfileFields(parseModelfile(text));
  const all = { from, adapters, drafts, warnings, ...fields };
  const loras = await adaptersOf(all, folder, context);
  const draft = await draftOf(all, folder, context);
  return {
    ...fields,
    ...(await baseOf(all, folder, context)),
    ...(loras === undefined ? {} : { adapters: loras }),
    ...(draft === undefined ? {} : { draftFiles: draft }),
  };
}
