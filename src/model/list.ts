/** The models of a store, as `/api/tags` lists them (api.md 9.1). */
import { errorMessage } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { capabilitiesOf } from "./capabilities.ts";
import { detailsOf, type ModelDetails } from "./details.ts";
import { withContent } from "./model.ts";
import { displayName } from "./name.ts";
import type { Store } from "./store.ts";

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

/** Newest first by whole seconds; models that cannot be read are left out with a log line. */
export function listModels(
  store: Store,
  goTemplate: boolean | undefined,
  logger: Logger,
): ListedModel[] {
  const rows = store.manifests().flatMap((manifest): ListedModel[] => {
    try {
      const model = withContent(store, manifest);
      const context = model.gguf?.facts.contextLength || model.config.context_length || 0;
      const embedding = model.gguf?.facts.embeddingLength || model.config.embedding_length || 0;
      return [
        {
          name: model.shortName,
          model: model.shortName,
          modifiedAt: model.modifiedAt,
          size: model.size,
          digest: model.digest,
          details: {
            ...detailsOf(model),
            ...(context > 0 ? { context_length: context } : {}),
            ...(embedding > 0 ? { embedding_length: embedding } : {}),
          },
          capabilities: capabilitiesOf(model, goTemplate),
        },
      ];
    } catch (error) {
      logger.warn("skipping a model that cannot be read", {
        name: displayName(manifest.name),
        error: errorMessage(error),
      });
      return [];
    }
  });
  const second = ({ modifiedAt }: ListedModel) => Math.floor(modifiedAt / 1000);
  return rows.sort((a, b) => second(b) - second(a));
}
