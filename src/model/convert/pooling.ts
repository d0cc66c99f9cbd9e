/** How a sentence-transformers model makes one vector of a text's tokens (`modules.json`). */
import type { SourceModel } from "./architecture.ts";
import { flag, type Metadata, maybe, u32 } from "./metadata.ts";
import { isObject, type SourceFiles } from "./source.ts";

/** llama.h, LLAMA_POOLING_TYPE_…. */
const poolingTypes = {
  pooling_mode_mean_tokens: 1,
  pooling_mode_cls_token: 2,
  pooling_mode_lasttoken: 3,
};

export interface Pooling {
  readonly type: number | undefined;
  readonly normalize: boolean;
}

function modulesOf(files: SourceFiles): { type: string; path: string }[] {
  if (!files.has("modules.json")) return [];
  const modules = files.json("modules.json");
  return (Array.isArray(modules) ? modules : [])
    .filter(isObject)
    .map(({ type, path }) => ({ type: String(type), path: String(path ?? "") }));
}

/** `undefined` when the model brings no `modules.json`. */
export function poolingOf(files: SourceFiles): Pooling | undefined {
  const modules = modulesOf(files);
  if (modules.length === 0) return undefined;
  const pooling = modules.find(({ type }) => type.endsWith(".Pooling"));
  const config = pooling && files.optional(`${pooling.path.replace(/\/$/, "")}/config.json`);
  const mode = Object.entries(poolingTypes).find(([name]) => config?.[name] === true)?.[1];
  return {
    type: pooling === undefined ? undefined : (mode ?? 1),
    normalize: modules.some(({ type }) => type.endsWith(".Normalize")),
  };
}

/** For decoders, which are embedding models only when they say so. */
export function poolingMetadata({ files }: SourceModel): Metadata {
  const pooling = poolingOf(files);
  return {
    pooling_type: maybe(pooling?.type, u32),
    normalize_embeddings: maybe(pooling?.type === undefined ? undefined : pooling.normalize, flag),
  };
}
