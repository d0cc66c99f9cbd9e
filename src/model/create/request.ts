/** What a create request says, and what of it can be judged before anything is written (create.md 1). */
import { posix } from "node:path";
import { DigestFormatError, InvalidRequestError, ModelNameError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import type { JobRunner } from "../jobs.ts";
import type { StoredMessage } from "../model.ts";
import { isValidName, type ModelName, parseName } from "../name.ts";

/** Fields of a create request, as plain values (api.md 10.1). */
export interface CreateRequest {
  readonly model: string;
  readonly from?: string;
  /** File name → digest. */
  readonly files?: Readonly<Record<string, string>>;
  readonly adapters?: Readonly<Record<string, string>>;
  /** Files of a draft model, and the type that it is quantised to. */
  readonly draftFiles?: Readonly<Record<string, string>>;
  readonly draftQuantize?: string;
  readonly template?: string;
  readonly system?: string;
  readonly license?: readonly string[];
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly messages?: readonly StoredMessage[];
  readonly renderer?: string;
  readonly parser?: string;
  readonly requires?: string;
  readonly quantize?: string;
  readonly info?: Readonly<Record<string, unknown>>;
  /** SHA-256 that the manifest must have, 64 hex digits; with another one no model is made. */
  readonly digest?: string;
  /** Makes a stub that stands for a model on another host. */
  readonly remoteHost?: string;
}

/** A status line. */
export interface CreateProgress {
  readonly status: string;
  readonly digest?: string;
  readonly total?: number;
  readonly completed?: number;
}

/** What making a model needs of the rest of hutch. */
export interface CreateTools {
  /** Throws when a Go template does not parse. */
  readonly checkTemplate: (template: string) => void;
  /** Converts, merges and quantises. */
  readonly jobs: JobRunner;
  /** Fetches a model that `from` names and the store lacks; its lines are passed on. */
  readonly pull: (reference: string, signal: AbortSignal) => AsyncIterable<CreateProgress>;
  readonly logger: Logger;
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal;
}

/**
 * Checks what can be checked before anything is written or streamed.
 * @throws InvalidRequestError, ModelNameError, DigestFormatError
 */
export function checkCreateRequest(request: CreateRequest): ModelName {
  const { files = {}, adapters = {}, draftFiles = {} } = request;
  for (const path of [...Object.keys(files), ...Object.keys(draftFiles)]) {
    if (!isLocalPath(path)) throw new InvalidRequestError("file path must be relative");
  }
  const digests = [files, draftFiles, adapters].flatMap((list) => Object.values(list));
  if (digests.includes("")) throw new DigestFormatError();
  if (request.draftQuantize && Object.keys(draftFiles).length === 0) {
    throw new InvalidRequestError("--draft-quantize requires a DRAFT model");
  }
  const name = parseName(request.model);
  if (!isValidName(name)) throw new ModelNameError("invalid model name");
  if (!request.from && request.files === undefined) {
    throw new InvalidRequestError("neither 'from' or 'files' was specified");
  }
  checkInfo(request.info ?? {});
  return name;
}

/** Relative, without `..`, and in its shortest spelling. */
function isLocalPath(path: string): boolean {
  if (path === "" || path.startsWith("/") || path.includes("\\") || path.includes("\0"))
    return false;
  return posix.normalize(path) === path && path !== "." && path !== ".." && !path.startsWith("../");
}

/** Fields of `info` and the kind of their values. */
const infoFields = {
  model_family: "string",
  base_name: "string",
  quantization_level: "string",
  parameter_size: "string",
  context_length: "number",
  embedding_length: "number",
} as const;

/** @throws InvalidRequestError for values of `info` that have the wrong kind */
function checkInfo(info: Readonly<Record<string, unknown>>): void {
  for (const [field, kind] of Object.entries(infoFields)) {
    const value = info[field];
    if (value === undefined || value === null) continue;
    if (typeof value !== kind) {
      throw new InvalidRequestError(`info field "${field}" must be a ${kind}`);
    }
    if (kind === "number" && (!Number.isInteger(value) || Number(value) < 0)) {
      throw new InvalidRequestError(`info field "${field}" must be a non-negative integer`);
    }
  }
}
