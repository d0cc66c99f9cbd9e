/** A stored model as a whole: everything that running and showing it need, read once per digest. */
import { ModelNotFoundError, StoreError } from "../errors.ts";
import { parseDigest } from "./digest.ts";
import { factsOf, type GgufFacts } from "./gguf/facts.ts";
import { type GgufHead, readGguf } from "./gguf/reader.ts";
import { type Layer, type ModelConfig, parseConfig } from "./manifest.ts";
import { mediaTypes } from "./media-types.ts";
import { displayName, type ModelName } from "./name.ts";
import type { Store, StoredManifest } from "./store.ts";

export interface StoredMessage {
  readonly role: string;
  readonly content: string;
}

/** What follows from a manifest's contents; the same for all names of one digest. */
export interface ModelContent {
  /** SHA-256 of the manifest, 64 hex digits. */
  readonly digest: string;
  readonly layers: readonly Layer[];
  readonly configLayer: Layer | undefined;
  readonly config: ModelConfig;
  /** Absolute path of the GGUF; undefined for models that hutch cannot run. */
  readonly ggufPath: string | undefined;
  readonly parentModel: string;
  readonly adapterPaths: readonly string[];
  readonly projectorPaths: readonly string[];
  readonly draftPath: string | undefined;
  /** Go template; undefined when none is stored. */
  readonly template: string | undefined;
  readonly system: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly messages: readonly StoredMessage[];
  readonly licenses: readonly string[];
  /** Head of the GGUF; undefined without one. */
  readonly gguf: { readonly head: GgufHead; readonly facts: GgufFacts } | undefined;
  readonly projectorFacts: readonly GgufFacts[];
  readonly adapterFacts: readonly GgufFacts[];
  readonly draftFacts: GgufFacts | undefined;
  /** Bytes of all layers and the configuration. */
  readonly size: number;
}

export interface StoredModel extends ModelContent {
  readonly name: ModelName;
  /** Shortest form, with tag. */
  readonly shortName: string;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
}

/** Contents by manifest digest; a digest's content never changes, so only the number is bounded. */
const contents = new Map<string, ModelContent>();
const mostContents = 1024;

/** The whole of each manifest that is remembered, as long as its content is. */
const models = new WeakMap<StoredManifest, { content: ModelContent; model: StoredModel }>();

/**
 * @param raw how the request spelled the name, for the error
 * @throws ModelNotFoundError (`model 'X' not found`), StoreError for damaged models
 */
export function loadStoredModel(store: Store, name: ModelName, raw?: string): StoredModel {
  const found = store.manifest(name);
  if (found === undefined) {
    throw new ModelNotFoundError(`model '${raw ?? displayName(name)}' not found`);
  }
  return withContent(store, found);
}

/** The model of a manifest that was read already. @throws StoreError */
export function withContent(store: Store, found: StoredManifest): StoredModel {
  const known = models.get(found);
  if (known !== undefined && isPresent(known.content)) return known.model;
  const key = `${store.root} ${found.digest}`;
  let content = contents.get(key);
  if (content === undefined || !isPresent(content)) {
    content = readContent(store, found);
    if (contents.size >= mostContents) contents.clear();
    contents.set(key, content);
  }
  const { name, modifiedAt } = found;
  const model = { ...content, name, shortName: displayName(name), modifiedAt };
  models.set(found, { content, model });
  return model;
}

/** Whether the file that the remembered content speaks of is still there, unchanged in size. */
function isPresent(content: ModelContent): boolean {
  if (content.ggufPath === undefined || content.gguf === undefined) return true;
  return Bun.file(content.ggufPath).size === content.gguf.head.fileBytes;
}

function readContent(store: Store, { manifest, digest }: StoredManifest): ModelContent {
  const { config: configLayer, layers } = manifest;
  const config = parseConfig(configLayer === undefined ? "{}" : store.readBlob(configLayer.digest));
  const all = (type: string) => layers.filter(({ mediaType }) => mediaType === type);
  const paths = (type: string) =>
    all(type).map((layer) => store.blobPath(parseDigest(layer.digest)));
  const last = (type: string) => {
    const layer = all(type).at(-1);
    return layer === undefined ? undefined : store.readBlob(layer.digest);
  };
  const modelLayer = all(mediaTypes.model).at(-1);
  const ggufPath =
    modelLayer === undefined ? undefined : store.blobPath(parseDigest(modelLayer.digest));
  const head = ggufPath === undefined ? undefined : readGguf(ggufPath);
  const adapterPaths = paths(mediaTypes.adapter);
  const projectorPaths = paths(mediaTypes.projector);
  const draftPath = paths(mediaTypes.draft).at(-1);
  const template = last(mediaTypes.template) ?? last(mediaTypes.prompt);
  return {
    digest,
    layers,
    configLayer,
    config,
    ggufPath,
    parentModel: modelLayer?.from ?? "",
    adapterPaths,
    projectorPaths,
    draftPath,
    template,
    system: last(mediaTypes.system) ?? "",
    parameters: parseObject(last(mediaTypes.params)),
    messages: parseMessages(last(mediaTypes.messages)),
    licenses: all(mediaTypes.license).map((layer) => store.readBlob(layer.digest)),
    gguf: head === undefined ? undefined : { head, facts: factsOf(head) },
    projectorFacts: projectorPaths.map((path) => factsOf(readGguf(path))),
    adapterFacts: adapterPaths.map((path) => factsOf(readGguf(path))),
    draftFacts: draftPath === undefined ? undefined : factsOf(readGguf(draftPath)),
    size: layers.reduce((sum, { size }) => sum + size, configLayer?.size ?? 0),
  };
}

function parseObject(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {};
  const value: unknown = JSON.parse(text);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new StoreError("read the model's parameters: not a JSON object");
}

function parseMessages(text: string | undefined): StoredMessage[] {
  if (text === undefined) return [];
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) throw new StoreError("read the model's messages: not a JSON array");
  return value as StoredMessage[];
}
