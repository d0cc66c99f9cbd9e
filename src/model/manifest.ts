/** Manifests and configurations: what a model consists of (store.md 3 and 4). */
import { Type as t } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { StoreError } from "../errors.ts";
import { goJson } from "./gojson.ts";
import { mediaTypes } from "./media-types.ts";

/** One layer; unknown fields of foreign manifests are tolerated. */
export interface Layer {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  /** Parent model of an inherited layer, or the name of an uploaded file. */
  readonly from?: string;
  /** Tensor or file name (safetensors models). */
  readonly name?: string;
}

export interface Manifest {
  readonly config: Layer | undefined;
  readonly layers: readonly Layer[];
}

const LayerShape = t.Object({
  mediaType: t.String(),
  digest: t.String(),
  size: t.Number({ minimum: 0 }),
  from: t.Optional(t.String()),
  name: t.Optional(t.String()),
});
const ManifestShape = t.Object({
  config: t.Optional(t.Union([t.Partial(LayerShape), t.Null()])),
  layers: t.Optional(t.Union([t.Array(LayerShape), t.Null()])),
});

/** Largest manifest that is read, bytes. */
export const largestManifest = 4 * 2 ** 20;

/** @throws StoreError naming the field that does not fit */
export function parseManifest(text: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new StoreError("read manifest: not valid JSON", { cause });
  }
  if (!Value.Check(ManifestShape, json)) {
    const first = Value.Errors(ManifestShape, json).First();
    throw new StoreError(`read manifest: ${first?.path || "/"}: ${first?.message}`);
  }
  const { digest } = json.config ?? {};
  const config = digest
    ? { mediaType: json.config?.mediaType ?? "", digest, size: json.config?.size ?? 0 }
    : undefined;
  return { config, layers: json.layers ?? [] };
}

/** A manifest's file, byte for byte as Ollama writes it. */
export function renderManifest(config: Layer, layers: readonly Layer[]): string {
  const layer = ({ mediaType, digest, size, from, name }: Layer) =>
    goJson({ mediaType, digest, size, from: from || undefined, name: name || undefined }, false);
  const list = layers.length === 0 ? "null" : `[${layers.map(layer).join(",")}]`;
  return `{"schemaVersion":2,"mediaType":${goJson(mediaTypes.manifest)},"config":${layer(config)},"layers":${list}}\n`;
}

/** The configuration, in the order of its fields in the file. */
export interface ModelConfig {
  readonly model_format: string;
  readonly model_family: string;
  readonly model_families: readonly string[] | null;
  readonly model_type: string;
  readonly file_type: string;
  readonly renderer?: string;
  readonly parser?: string;
  readonly requires?: string;
  readonly remote_host?: string;
  readonly remote_model?: string;
  readonly capabilities?: readonly string[];
  readonly context_length?: number;
  readonly embedding_length?: number;
  readonly base_name?: string;
}

const text = t.Optional(t.Union([t.String(), t.Null()]));
const ConfigShape = t.Object({
  model_format: text,
  model_family: text,
  model_families: t.Optional(t.Union([t.Array(t.String()), t.Null()])),
  model_type: text,
  file_type: text,
  renderer: text,
  parser: text,
  requires: text,
  remote_host: text,
  remote_model: text,
  capabilities: t.Optional(t.Union([t.Array(t.String()), t.Null()])),
  context_length: t.Optional(t.Number()),
  embedding_length: t.Optional(t.Number()),
  base_name: text,
});

/** @throws StoreError when it is no configuration */
export function parseConfig(content: string): ModelConfig {
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (cause) {
    throw new StoreError("read model configuration: not valid JSON", { cause });
  }
  if (!Value.Check(ConfigShape, json)) {
    const first = Value.Errors(ConfigShape, json).First();
    throw new StoreError(`read model configuration: ${first?.path}: ${first?.message}`);
  }
  const optional = (
    ["renderer", "parser", "requires", "remote_host", "remote_model", "base_name"] as const
  ).flatMap((key) => (json[key] ? [[key, json[key]] as const] : []));
  return {
    model_format: json.model_format ?? "",
    model_family: json.model_family ?? "",
    model_families: json.model_families ?? null,
    model_type: json.model_type ?? "",
    file_type: json.file_type ?? "",
    ...Object.fromEntries(optional),
    ...(json.capabilities?.length ? { capabilities: json.capabilities } : {}),
    ...(json.context_length ? { context_length: json.context_length } : {}),
    ...(json.embedding_length ? { embedding_length: json.embedding_length } : {}),
  };
}

/** The configuration's blob. Processor and system are constants: digests depend on them. */
export function renderConfig(config: ModelConfig): string {
  return `${goJson(
    {
      model_format: config.model_format,
      model_family: config.model_family,
      model_families: config.model_families,
      model_type: config.model_type,
      file_type: config.file_type,
      renderer: config.renderer,
      parser: config.parser,
      requires: config.requires,
      remote_host: config.remote_host,
      remote_model: config.remote_model,
      capabilities: config.capabilities,
      context_length: config.context_length,
      embedding_length: config.embedding_length,
      base_name: config.base_name,
      architecture: "amd64",
      os: "linux",
    },
    false,
  )}\n`;
}

/** Digests that a manifest mentions, in canonical form. */
export function digestsOf(manifest: Manifest): Set<string> {
  const digests = manifest.layers.map(({ digest }) => digest);
  if (manifest.config !== undefined) digests.push(manifest.config.digest);
  return new Set(digests.map((digest) => digest.replace("sha256-", "sha256:").toLowerCase()));
}
