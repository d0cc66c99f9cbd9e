/**
 * Making models (create.md): from a stored model or from files, with adapters, quantised, with
 * template, system, parameters, messages, licences. Blobs first, configuration next, manifest last: a
 * manifest never names what is not there, and nothing is visible when an error came first.
 */
import { LockError, ModelNameError } from "../../errors.ts";
import { digestOf, parseDigest } from "../digest.ts";
import { goJson } from "../gojson.ts";
import { type Layer, renderConfig, renderManifest } from "../manifest.ts";
import { mediaTypes } from "../media-types.ts";
import { loadStoredModel } from "../model.ts";
import { displayName, type ModelName, parseReference } from "../name.ts";
import type { Store } from "../store.ts";
import { addAdapters } from "./adapters.ts";
import { finalConfig, stopTexts } from "./config.ts";
import { addDraft } from "./draft.ts";
import { fromFiles } from "./from-files.ts";
import { factsOfLayer, modelLayer, newParts, type Parts } from "./parts.ts";
import { quantizeModel, verifyMade } from "./quantize.ts";
import {
  type CreateProgress,
  type CreateRequest,
  type CreateTools,
  checkCreateRequest,
} from "./request.ts";

/** Makes a model; yields its status lines in Ollama's order. Call `checkCreateRequest` first. */
export async function* createModel(
  store: Store,
  request: CreateRequest,
  tools: CreateTools,
): AsyncGenerator<CreateProgress> {
  const name = store.stored(checkCreateRequest(request));
  // A template that does not parse is told before anything is copied or converted.
  if (request.template) tools.checkTemplate(request.template);
  using lease = store.lease();
  const parts = yield* baseParts(store, request, tools);
  yield* addDraft(store, parts, request, tools);
  yield* addAdapters(store, parts, request.adapters ?? {}, tools);
  yield* quantizeModel(store, parts, request.quantize, tools);
  yield* verifyMade(store, parts);
  refreshConfig(store, parts, request);
  yield* keptLayers(parts, request);
  yield* addTexts(store, parts, request);
  const config = finalConfig(parts.config, request);
  const { layer } = store.putBytes(renderConfig(config), mediaTypes.config);
  tools.signal.throwIfAborted();
  if (request.digest !== undefined) checkMade(name, request.digest, layer, parts.layers);
  yield { status: "writing manifest" };
  store.writeManifest(name, layer, parts.layers, lease);
  yield { status: "success" };
}

/** @throws LockError when what was made is not what is pinned */
function checkMade(name: ModelName, locked: string, config: Layer, layers: readonly Layer[]): void {
  const bytes = new TextEncoder().encode(renderManifest(config, layers));
  const made = digestOf(bytes).slice("sha256:".length);
  if (made === locked) return;
  throw new LockError(
    `make "${displayName(name)}": this hutch makes ${made.slice(0, 12)} of its files, locked is ${locked.slice(0, 12)}`,
  );
}

async function* baseParts(
  store: Store,
  request: CreateRequest,
  tools: CreateTools,
): AsyncGenerator<CreateProgress, Parts> {
  if (request.remoteHost) return newParts();
  if (!request.from) return yield* fromFiles(store, request.files ?? {}, tools);
  const reference = parseBaseName(request.from);
  if (store.manifest(reference) === undefined) yield* pullBase(request.from, tools);
  const base = loadStoredModel(store, reference, request.from);
  return newParts({
    layers: base.layers.map((layer) => {
      store.touch(parseDigest(layer.digest));
      return { ...layer, from: base.shortName };
    }),
    config: base.config,
    parameters: base.parameters,
  });
}

async function* pullBase(from: string, { pull, signal }: CreateTools) {
  for await (const line of pull(from, signal)) {
    // Clients stop reading at the first success; this one is not the last line.
    if (line.status !== "success") yield line;
  }
}

function parseBaseName(from: string): ModelName {
  try {
    return parseReference(from).name;
  } catch (cause) {
    throw new ModelNameError("invalid model name", { cause });
  }
}

/** A derived model says of its GGUF what is true of it now, whatever the base's configuration said. */
function refreshConfig(store: Store, parts: Parts, request: CreateRequest): void {
  const layer = modelLayer(parts);
  if (layer === undefined || request.from === undefined) return;
  const { architecture, parameterSize } = factsOfLayer(store, layer);
  parts.config = { ...parts.config, model_family: architecture, model_type: parameterSize };
}

/** Inherited parameters under those of the request. */
function mergedParameters(parts: Parts, request: CreateRequest): Record<string, unknown> {
  const stop = stopTexts(parts.config.model_family);
  const given = { ...(stop && !parts.parameters.stop ? { stop } : {}), ...request.parameters };
  return { ...parts.parameters, ...given };
}

/** Kinds of layers that are written anew; parameters whenever there are any (create.md 2). */
function replacedKinds(parts: Parts, request: CreateRequest): Set<string> {
  const kinds = new Set<string>();
  if (request.template) kinds.add(mediaTypes.template);
  if (request.system) kinds.add(mediaTypes.system);
  if (Object.keys(mergedParameters(parts, request)).length > 0) kinds.add(mediaTypes.params);
  if ((request.messages ?? []).length > 0) kinds.add(mediaTypes.messages);
  return kinds;
}

/** A line for every layer that stays: replaced ones have theirs when they are made. */
function* keptLayers(parts: Parts, request: CreateRequest): Generator<CreateProgress> {
  const replaced = replacedKinds(parts, request);
  for (const { mediaType, digest } of parts.layers) {
    if (replaced.has(mediaType)) continue;
    if (mediaType === mediaTypes.template && parts.detected !== undefined) {
      yield { status: `using autodetected template ${parts.detected}` };
    } else {
      const what = parts.created.has(digest) ? "creating new layer" : "using existing layer";
      yield { status: `${what} ${digest}` };
    }
  }
}

function* addTexts(store: Store, parts: Parts, request: CreateRequest): Generator<CreateProgress> {
  const add = function* (mediaType: string, content: string): Generator<CreateProgress> {
    const { layer, created } = store.putBytes(content, mediaType);
    parts.layers.push(layer);
    const isNew = created || parts.created.has(layer.digest);
    yield { status: `${isNew ? "creating new layer" : "using existing layer"} ${layer.digest}` };
  };
  const replace = function* (mediaType: string, content: string): Generator<CreateProgress> {
    parts.layers = parts.layers.filter((layer) => layer.mediaType !== mediaType);
    yield* add(mediaType, content);
  };
  if (request.template) yield* replace(mediaTypes.template, request.template);
  if (request.system) yield* replace(mediaTypes.system, request.system);
  for (const license of request.license ?? []) yield* add(mediaTypes.license, license);
  const parameters = mergedParameters(parts, request);
  if (Object.keys(parameters).length > 0) {
    yield* replace(mediaTypes.params, `${goJson(parameters)}\n`);
  }
  const messages = request.messages ?? [];
  if (messages.length > 0) {
    const list = messages.map((message) => goJson(message, false)).join(",");
    yield* replace(mediaTypes.messages, `[${list}]\n`);
  }
}
