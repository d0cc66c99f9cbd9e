/** Model names: `[scheme://][host/][namespace/]model[:tag]` (store.md 2, api.md 2). */
import { ModelNameError, ModelRequiredError } from "../errors.ts";

export interface ModelName {
  readonly scheme: string;
  readonly host: string;
  readonly namespace: string;
  readonly model: string;
  readonly tag: string;
}

const defaults = {
  scheme: "https",
  host: "registry.ollama.ai",
  namespace: "library",
  tag: "latest",
} as const;

/** Stands for a part that a separator promised and that is not there; never valid. */
const missing = "!MISSING!";

/** Cuts at the last separator; a side that is empty is marked as missing. */
function cutLast(text: string, separator: string): [before: string, after: string] | undefined {
  const at = text.lastIndexOf(separator);
  if (at < 0) return undefined;
  return [text.slice(0, at) || missing, text.slice(at + separator.length) || missing];
}

/** Takes a name apart, right to left, without defaults and without judging it. */
export function parseBareName(text: string): ModelName {
  let rest = text;
  let tag = "";
  if (rest.lastIndexOf(":") > rest.lastIndexOf("/")) {
    [rest, tag] = cutLast(rest, ":") ?? [rest, ""];
  }
  const none = { scheme: "", host: "", namespace: "", tag };
  const model = cutLast(rest, "/");
  if (model === undefined) return { ...none, model: rest };
  const namespace = cutLast(model[0], "/");
  if (namespace === undefined) return { ...none, namespace: model[0], model: model[1] };
  const scheme = namespace[0].indexOf("://");
  return {
    tag,
    model: model[1],
    namespace: namespace[1],
    scheme: scheme < 0 ? "" : namespace[0].slice(0, scheme),
    host: scheme < 0 ? namespace[0] : namespace[0].slice(scheme + 3),
  };
}

/** Takes a name apart and fills in the defaults; see `isValidName`. */
export function parseName(text: string): ModelName {
  const bare = parseBareName(text);
  return {
    scheme: bare.scheme || defaults.scheme,
    host: bare.host || defaults.host,
    namespace: bare.namespace || defaults.namespace,
    model: bare.model,
    tag: bare.tag || defaults.tag,
  };
}

const partRules = {
  host: /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}$/,
  namespace: /^[A-Za-z0-9_][A-Za-z0-9_-]{0,79}$/,
  model: /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/,
  tag: /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/,
} as const;

export type NamePart = keyof typeof partRules;
export const nameParts: readonly NamePart[] = ["host", "namespace", "model", "tag"];

/** Whether one part has only allowed characters and length. */
export function isValidPart(part: NamePart, text: string): boolean {
  return partRules[part].test(text);
}

/** Whether every part is there and well formed; then the name is a safe path. */
export function isValidName(name: ModelName): boolean {
  return nameParts.every((part) => isValidPart(part, name[part]));
}

/** `host/namespace/model:tag`. */
export function fullName(name: ModelName): string {
  return `${name.host}/${name.namespace}/${name.model}:${name.tag}`;
}

/** The shortest form that means the same; the tag is always shown. */
export function displayName(name: ModelName): string {
  const own = `${name.model}:${name.tag}`;
  const defaultHost = name.host.toLowerCase() === defaults.host;
  if (defaultHost && name.namespace.toLowerCase() === defaults.namespace) return own;
  return defaultHost ? `${name.namespace}/${own}` : `${name.host}/${name.namespace}/${own}`;
}

/** Path of a manifest below `manifests/`, with `/`. The name must be valid. */
export function manifestPath(name: ModelName): string {
  return `${name.host}/${name.namespace}/${name.model}/${name.tag}`;
}

/** The name behind a path below `manifests/`; undefined when it is none. */
export function nameOfPath(path: string): ModelName | undefined {
  const [host, namespace, model, tag, ...more] = path.split("/");
  if (host === undefined || namespace === undefined || model === undefined) return undefined;
  if (tag === undefined || more.length > 0) return undefined;
  const name = { scheme: defaults.scheme, host, namespace, model, tag };
  return isValidName(name) ? name : undefined;
}

/** A name as requests give it: with `:local` or `:cloud` cut off (store.md 2a). */
export interface ModelReference {
  readonly name: ModelName;
  readonly source: "unspecified" | "local" | "cloud";
  /** The text without the suffix. */
  readonly base: string;
}

/** Cuts one source suffix off; undefined when there is none. */
function cutSource(text: string): { base: string; source: "local" | "cloud" } | undefined {
  const colon = text.lastIndexOf(":");
  if (colon < 0) return undefined;
  const last = text
    .slice(colon + 1)
    .trim()
    .toLowerCase();
  const before = text.slice(0, colon);
  if (last === "local" || last === "cloud") return { base: before, source: last };
  if (last.endsWith("-cloud") && !last.includes("/")) {
    return { base: text.trim().slice(0, -"-cloud".length), source: "cloud" };
  }
  return undefined;
}

/**
 * @throws ModelRequiredError for an empty text, ModelNameError for two suffixes
 */
export function splitReference(raw: string): Omit<ModelReference, "name"> {
  const text = raw.trim();
  if (text === "") throw new ModelRequiredError();
  const first = cutSource(text);
  if (first === undefined) return { base: text, source: "unspecified" };
  if (cutSource(first.base) !== undefined) {
    throw new ModelNameError(`use either :local or :cloud, not both: ${JSON.stringify(text)}`);
  }
  return first;
}

/**
 * The model that a request means.
 * @throws ModelRequiredError, ModelNameError (`unqualified name: …` when it cannot be a name)
 */
export function parseReference(raw: string): ModelReference {
  const { base, source } = splitReference(raw);
  const name = parseName(base);
  if (!isValidName(name)) throw new ModelNameError(`unqualified name: ${fullName(name)}`);
  return { name, source, base };
}

/** The form in which pull and delete name models of the cloud: `m:tag-cloud`, `m:cloud`. */
export function pullForm(reference: Omit<ModelReference, "name">): string {
  if (reference.source !== "cloud") return reference.base;
  const tagged = reference.base.lastIndexOf(":") > reference.base.lastIndexOf("/");
  return tagged ? `${reference.base}-cloud` : `${reference.base}:cloud`;
}

/** `prefix-00001-of-00003.gguf`: what a shard's file name says; undefined for others. */
export function parseShardName(
  path: string,
): { prefix: string; index: number; count: number } | undefined {
  const match = /^(?:.*\/)?([^/]*)-(\d{5})-of-(\d{5})\.gguf$/.exec(path);
  const index = Number(match?.[2]) - 1;
  const count = Number(match?.[3]);
  if (match === null || index < 0 || count < 1 || index > 65534 || count > 65535) return undefined;
  return { prefix: match[1] ?? "", index, count };
}
