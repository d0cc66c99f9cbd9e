/** The models of a store, as `/api/tags` lists them (api.md 9.1). */
import { errorMessage } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { detailsOf, type ModelDetails } from "./details.ts";
import { withContent } from "./model.ts";
import { displayName } from "./name.ts";
import { type CachedRow, RowCache } from "./row-cache.ts";
import type { Store, StoredManifest } from "./store.ts";

export interface ListedModel {
  readonly name: string;
  readonly model: string;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
  readonly size: number;
  readonly digest: string;
  readonly details: ModelDetails & {
    readonly context_length?: number;
    readonly embedding_length?: number;
  };
  readonly capabilities: readonly string[];
}

/** What a manifest's contents say of it. @throws StoreError, GgufError */
function readRow(store: Store, manifest: StoredManifest, goTemplate: boolean | undefined) {
  const model = withContent(store, manifest);
  const context = model.gguf?.facts.contextLength || model.config.context_length || 0;
  const embedding = model.gguf?.facts.embeddingLength || model.config.embedding_length || 0;
  const { families, ...details } = detailsOf(model);
  const path = model.ggufPath;
  return {
    size: model.size,
    details: {
      ...details,
      families: families === null ? null : [...families],
      ...(context > 0 ? { context_length: context } : {}),
      ...(embedding > 0 ? { embedding_length: embedding } : {}),
    },
    capabilities: [...capabilitiesOf(model, goTemplate)],
    ...(path === undefined || model.gguf === undefined
      ? {}
      : { gguf: { path, size: model.gguf.head.fileBytes } }),
  };
}

/** Newest first by whole seconds; models that cannot be read are left out with a log line. */
export function listModels(
  store: Store,
  goTemplate: boolean | undefined,
  logger: Logger,
  cache: RowCache = new RowCache(undefined),
): ListedModel[] {
  const used = new Set<string>();
  const rows = store.manifests().flatMap((manifest): ListedModel[] => {
    const { digest, modifiedAt } = manifest;
    const name = displayName(manifest.name);
    const key = `${store.root} ${digest} ${goTemplate ?? "auto"}`;
    try {
      let row = cache.get(key);
      if (row === undefined) {
        row = readRow(store, manifest, goTemplate);
        cache.set(key, row);
      }
      used.add(key);
      const { size, details, capabilities } = row;
      return [
        { name, model: name, modifiedAt, size, digest, details: ordered(details), capabilities },
      ];
    } catch (error) {
      logger.warn("skipping a model that cannot be read", { name, error: errorMessage(error) });
      return [];
    }
  });
  cache.save(used);
  const second = ({ modifiedAt }: ListedModel) => Math.floor(modifiedAt / 1000);
  return rows.sort((a, b) => second(b) - second(a));
}

/** In the order of the reference's answers. */
function ordered(details: CachedRow["details"]): ListedModel["details"] {
  const { parent_model, format, family, families, ...rest } = details;
  return { parent_model, format, family, families, ...rest };
}
