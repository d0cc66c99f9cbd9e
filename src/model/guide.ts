/** The embedded model: installed into the store the first time that somebody asks for it. */

import { digestOf } from "./digest.ts";
import { checkGguf } from "./gguf/check.ts";
import { renderConfig } from "./manifest.ts";
import { mediaTypes } from "./media-types.ts";
import { type ModelName, nameParts, parseName } from "./name.ts";
import type { Store } from "./store.ts";

/** What the executable carries. */
export interface GuideAsset {
  /** Where its GGUF can be read. */
  readonly ggufPath: string;
  /** Go template, parameters (JSON object), licence: texts. */
  readonly template: string;
  readonly params: string;
  readonly license: string;
}

/** Name under which the embedded model is known. */
const guideName = parseName("guide");

/** Whether a name means the embedded model. */
export function isGuide(name: ModelName): boolean {
  return nameParts.every((part) => name[part].toLowerCase() === guideName[part]);
}

/**
 * Installs the embedded model unless the store has one of that name. Any number of processes may do
 * this at once: blobs and manifest are written whole, and all of them write the same.
 * @param options.whole also when a blob of it is missing
 */
export async function installGuide(
  store: Store,
  asset: GuideAsset,
  options: { readonly whole?: boolean } = {},
): Promise<void> {
  const isThere = store.manifest(guideName) !== undefined;
  if (isThere && !(options.whole && store.lacksBlobs(guideName))) return;
  const bytes = new Uint8Array(await Bun.file(asset.ggufPath).arrayBuffer());
  const model = store.putBytes(bytes, mediaTypes.model).layer;
  const { facts } = checkGguf(store.blobPath(digestOf(bytes)));
  const layers = [
    model,
    store.putBytes(asset.template, mediaTypes.template).layer,
    store.putBytes(asset.license, mediaTypes.license).layer,
    store.putBytes(`${asset.params.trim()}\n`, mediaTypes.params).layer,
  ];
  const config = renderConfig({
    model_format: "gguf",
    model_family: facts.architecture,
    model_families: [facts.architecture],
    model_type: facts.parameterSize,
    file_type: facts.fileType,
  });
  store.writeManifest(guideName, store.putBytes(config, mediaTypes.config).layer, layers);
}
