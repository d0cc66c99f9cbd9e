/**
 * Making models (create.md): from a GGUF in the store or from an existing model, with template,
 * system, parameters, messages, licences. Blobs first, configuration next, manifest last: a manifest
 * never names what is not there, and nothing is visible when an error came first.
 */
import { posix } from "node:path";
import {
  DigestFormatError,
  InvalidRequestError,
  ModelNameError,
  StoreError,
  UnsupportedError,
} from "../errors.ts";
import { type Digest, parseDigest } from "./digest.ts";
import { checkGguf, type GgufFacts } from "./gguf/facts.ts";
import { goJson } from "./gojson.ts";
import { knownTemplate } from "./known-templates.ts";
import { type Layer, type ModelConfig, renderConfig } from "./manifest.ts";
import { mediaTypes } from "./media-types.ts";
import { loadStoredModel, type StoredMessage, type StoredModel } from "./model.ts";
import { isValidName, type ModelName, parseName, parseReference } from "./name.ts";
import type { Store } from "./store.ts";

/** Fields of a create request, as plain values (api.md 10.1). */
export interface CreateRequest {
  readonly model: string;
  readonly from?: string;
  /** File name → digest. */
  readonly files?: Readonly<Record<string, string>>;
  readonly adapters?: Readonly<Record<string, string>>;
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
}

export interface CreateProgress {
  readonly status: string;
}

/** How templates are judged; the Go template parser is handed in, so that this module needs none. */
export interface CreateTools {
  /** Throws when a Go template does not parse. */
  readonly checkTemplate: (template: string) => void;
}

/** The parts of a model while it is being made. */
interface Draft {
  layers: Layer[];
  config: ModelConfig;
  /** Parameters that are merged under the request's. */
  parameters: Readonly<Record<string, unknown>>;
  /** Name of a known template that was found in a GGUF. */
  detected?: string;
}

const emptyConfig: ModelConfig = {
  model_format: "",
  model_family: "",
  model_families: null,
  model_type: "",
  file_type: "",
};

/**
 * Checks what can be checked before anything is written or streamed.
 * @throws InvalidRequestError, ModelNameError, DigestFormatError, UnsupportedError
 */
export function checkCreateRequest(request: CreateRequest): ModelName {
  const name = parseName(request.model.trim());
  if (!isValidName(name)) throw new ModelNameError("invalid model name");
  for (const path of Object.keys(request.files ?? {})) {
    if (!isLocalPath(path)) throw new InvalidRequestError("file path must be relative");
  }
  const digests = [...Object.values(request.files ?? {}), ...Object.values(request.adapters ?? {})];
  if (digests.includes("")) throw new DigestFormatError();
  if (!request.from && request.files === undefined) {
    throw new InvalidRequestError("neither 'from' or 'files' was specified");
  }
  checkInfo(request.info ?? {});
  return name;
}

/** Relative, without `..`, and in its shortest spelling. */
function isLocalPath(path: string): boolean {
  if (path === "" || path.startsWith("/") || path.includes("\\")) return false;
  return posix.normalize(path) === path && path !== ".." && !path.startsWith("../");
}

/** Makes a model; yields its status lines in Ollama's order. Call `checkCreateRequest` first. */
export async function* createModel(
  store: Store,
  request: CreateRequest,
  tools: CreateTools,
): AsyncGenerator<CreateProgress> {
  const name = store.stored(checkCreateRequest(request));
  const draft: Draft = request.from
    ? fromModel(store, request.from)
    : yield* fromFiles(store, request.files ?? {});
  if (request.quantize) refuseQuantize(request.quantize, draft.config.file_type);
  yield* addAdapters(store, draft, request.adapters ?? {});
  yield* keptLayers(draft, request);
  yield* addTexts(store, draft, request, tools);
  const config = finalConfig(draft.config, request);
  const { layer } = store.putBytes(renderConfig(config), mediaTypes.config);
  yield { status: "writing manifest" };
  store.writeManifest(name, layer, draft.layers);
  yield { status: "success" };
}

function fromModel(store: Store, from: string): Draft {
  let base: StoredModel;
  const reference = parseBaseName(from);
  try {
    base = loadStoredModel(store, reference, from);
  } catch (cause) {
    if (!store.manifest(reference)) {
      throw new StoreError(
        `model "${from}" is not in the store, and this version cannot pull it; create it first`,
        { cause },
      );
    }
    throw cause;
  }
  const layers = base.layers.map((layer) => ({ ...layer, from: base.shortName }));
  return { layers, config: base.config, parameters: base.parameters };
}

function parseBaseName(from: string): ModelName {
  try {
    return parseReference(from).name;
  } catch (cause) {
    throw new ModelNameError("invalid model name", { cause });
  }
}

function* fromFiles(
  store: Store,
  files: Readonly<Record<string, string>>,
): Generator<CreateProgress, Draft> {
  const names = Object.keys(files).sort();
  if (names.length === 0) throw new InvalidRequestError("unknown type");
  refuseUnsupportedFiles(names);
  const draft: Draft = { layers: [], config: emptyConfig, parameters: {} };
  for (const file of names) {
    const digest = requireBlob(store, files[file] ?? "");
    yield { status: "parsing GGUF" };
    const { head, facts } = checkGguf(store.blobPath(digest));
    if (head.metadata.has("split.count")) {
      throw new UnsupportedError(`file "${file}" is a shard: this version cannot merge shards yet`);
    }
    addGguf(store, draft, file, digest, facts);
  }
  if (!draft.layers.some(({ mediaType }) => mediaType === mediaTypes.model)) {
    throw new InvalidRequestError("no base model was found");
  }
  return draft;
}

function refuseUnsupportedFiles(names: readonly string[]): void {
  if (names.some((name) => name.endsWith(".safetensors"))) {
    throw new UnsupportedError("this version cannot convert safetensors yet; supported: GGUF");
  }
  // Files without a known ending are looked at: they must be GGUFs.
  const foreign = names.find((name) => /\.(json|bin|pth|zip|txt)$/.test(name));
  if (foreign !== undefined) throw new InvalidRequestError("unknown type");
}

function requireBlob(store: Store, text: string): Digest {
  const digest = parseDigest(text);
  if (!store.hasBlob(digest)) {
    throw new StoreError(`open ${store.blobPath(digest)}: no such file or directory`);
  }
  return digest;
}

function addGguf(store: Store, draft: Draft, file: string, digest: Digest, facts: GgufFacts): void {
  const mediaType = mediaTypes[facts.kind];
  const layer = store.layerOf(digest, mediaType, facts.kind === "model" ? undefined : file);
  if (layer === undefined) throw new StoreError(`blob ${digest} vanished`);
  draft.layers.push(layer);
  if (facts.kind !== "model") return;
  draft.config = {
    ...draft.config,
    model_format: "gguf",
    model_family: facts.architecture,
    model_families: [...(draft.config.model_families ?? []), facts.architecture],
    model_type: facts.parameterSize,
    // File type 0 counts as absent in Ollama's configurations; digests depend on it.
    file_type: facts.fileType === "F32" ? "unknown" : facts.fileType,
  };
  const known = facts.chatTemplate === undefined ? undefined : knownTemplate(facts.chatTemplate);
  if (known === undefined) return;
  draft.layers.push(store.putBytes(known.template, mediaTypes.template).layer);
  const params = `${goJson({ stop: known.stop })}\n`;
  draft.layers.push(store.putBytes(params, mediaTypes.params).layer);
  draft.parameters = { stop: known.stop };
  draft.detected = known.name;
}

/** Types that Ollama's documents name, in any case (create.md 7). */
const quantizeTypes =
  "F32 F16 BF16 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_0 Q4_1 Q4_K_S Q4_K_M Q5_0 Q5_1 Q5_K_S Q5_K_M Q6_K Q8_0".split(
    " ",
  );

/** @throws StoreError for an unknown type, UnsupportedError for the others */
function refuseQuantize(type: string, source: string): never {
  const wanted = type.toUpperCase();
  if (!quantizeTypes.includes(wanted)) {
    throw new StoreError(
      `unsupported quantization type ${wanted} - supported types are ${quantizeTypes.join(", ")}`,
    );
  }
  if (!["F32", "F16", "BF16", "unknown", ""].includes(source)) {
    throw new StoreError("quantization is only supported for F16, BF16 and F32 models");
  }
  throw new UnsupportedError(`quantize: this version cannot make ${wanted} models yet`);
}

/** A line for every layer that stays as it is: replaced ones have theirs when they are made. */
function* keptLayers(draft: Draft, request: CreateRequest): Generator<CreateProgress> {
  const replaced = new Set<string>();
  if (request.template) replaced.add(mediaTypes.template);
  if (request.system) replaced.add(mediaTypes.system);
  if (Object.keys(request.parameters ?? {}).length > 0) replaced.add(mediaTypes.params);
  if ((request.messages ?? []).length > 0) replaced.add(mediaTypes.messages);
  for (const { mediaType, digest } of draft.layers) {
    if (replaced.has(mediaType)) continue;
    const detected = mediaType === mediaTypes.template ? draft.detected : undefined;
    const what =
      detected === undefined
        ? `using existing layer ${digest}`
        : `using autodetected template ${detected}`;
    yield { status: what };
  }
}

function* addAdapters(
  store: Store,
  draft: Draft,
  adapters: Readonly<Record<string, string>>,
): Generator<CreateProgress> {
  const names = Object.keys(adapters).sort();
  if (names.length > 1) {
    throw new InvalidRequestError("only one adapter is currently supported");
  }
  for (const file of names) {
    if (file.endsWith(".safetensors")) {
      throw new UnsupportedError("this version cannot convert safetensors adapters yet");
    }
    const digest = requireBlob(store, adapters[file] ?? "");
    yield { status: "parsing GGUF" };
    checkGguf(store.blobPath(digest));
    const layer = store.layerOf(digest, mediaTypes.adapter, file);
    if (layer !== undefined) draft.layers.push(layer);
  }
}

function* addTexts(
  store: Store,
  draft: Draft,
  request: CreateRequest,
  tools: CreateTools,
): Generator<CreateProgress> {
  const replace = function* (mediaType: string, content: string): Generator<CreateProgress> {
    draft.layers = draft.layers.filter((layer) => layer.mediaType !== mediaType);
    yield* add(mediaType, content);
  };
  const add = function* (mediaType: string, content: string): Generator<CreateProgress> {
    const { layer, created } = store.putBytes(content, mediaType);
    draft.layers.push(layer);
    yield { status: `${created ? "creating new layer" : "using existing layer"} ${layer.digest}` };
  };
  if (request.template) {
    tools.checkTemplate(request.template);
    yield* replace(mediaTypes.template, request.template);
  }
  if (request.system) yield* replace(mediaTypes.system, request.system);
  for (const license of request.license ?? []) yield* add(mediaTypes.license, license);
  if (Object.keys(request.parameters ?? {}).length > 0) {
    const merged = { ...draft.parameters, ...request.parameters };
    yield* replace(mediaTypes.params, `${goJson(merged)}\n`);
  }
  const messages = request.messages ?? [];
  if (messages.length > 0) {
    const list = messages.map((message) => goJson(message, false)).join(",");
    yield* replace(mediaTypes.messages, `[${list}]\n`);
  }
}

const infoFields = {
  model_family: "string",
  base_name: "string",
  quantization_level: "string",
  parameter_size: "string",
  context_length: "number",
  embedding_length: "number",
} as const;

/** The configuration with what the request says of itself (`info`, renderer, parser, requires). */
function finalConfig(config: ModelConfig, request: CreateRequest): ModelConfig {
  const { info = {} } = request;
  const { capabilities } = info;
  const text = (field: string) => (info[field] ? { value: String(info[field]) } : undefined);
  return {
    ...config,
    model_family: text("model_family")?.value ?? config.model_family,
    model_type: text("parameter_size")?.value ?? config.model_type,
    file_type: text("quantization_level")?.value ?? config.file_type,
    ...(request.renderer ? { renderer: request.renderer } : {}),
    ...(request.parser ? { parser: request.parser } : {}),
    ...(request.requires ? { requires: request.requires } : {}),
    ...(info.base_name ? { base_name: String(info.base_name) } : {}),
    ...(info.context_length ? { context_length: Number(info.context_length) } : {}),
    ...(info.embedding_length ? { embedding_length: Number(info.embedding_length) } : {}),
    ...(Array.isArray(capabilities) ? { capabilities: capabilities.map(String) } : {}),
  };
}

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
