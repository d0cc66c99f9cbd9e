/** From the name in a request to the stored model (api.md 2). */
import {
  CloudDisabledError,
  ModelNameError,
  ModelNotFoundError,
  ModelRequiredError,
} from "../../errors.ts";
import { installGuide, isGuide } from "../../model/guide.ts";
import { loadStoredModel, type StoredModel } from "../../model/model.ts";
import { displayName, type ModelReference, parseReference } from "../../model/name.ts";
import type { ServerDeps } from "../deps.ts";

/** What texts mean, so that a name which every request gives is taken apart once. */
const references = new Map<string, ModelReference>();
const mostReferences = 1024;

function remembered(raw: string): ModelReference {
  const known = references.get(raw);
  if (known !== undefined) return known;
  const reference = parseReference(raw);
  if (references.size >= mostReferences) references.clear();
  references.set(raw, reference);
  return reference;
}

/** @throws ModelNameError (`invalid model name`), CloudDisabledError */
export function referenceOf(
  raw: string,
  cloudText = "remote model is unavailable",
): ModelReference {
  let reference: ModelReference;
  try {
    reference = remembered(raw);
  } catch (error) {
    if (error instanceof ModelRequiredError) throw error;
    if (error instanceof ModelNameError && !error.message.startsWith("unqualified")) throw error;
    throw new ModelNameError("invalid model name", { cause: error });
  }
  if (reference.source === "cloud") {
    throw new CloudDisabledError(`ollama cloud is disabled: ${cloudText}`);
  }
  return reference;
}

/**
 * The stored model that a name means; the embedded one is installed when it is asked for.
 * @param missing text for a model that is not there
 */
export async function findModel(
  deps: ServerDeps,
  reference: ModelReference,
  missing: (short: string) => string,
): Promise<StoredModel> {
  const { store, guide } = deps;
  if (guide !== undefined && isGuide(reference.name)) await installGuide(store, guide);
  deps.fake?.provide(reference.name);
  try {
    return loadStoredModel(store, reference.name);
  } catch (error) {
    if (!(error instanceof ModelNotFoundError)) throw error;
    throw new ModelNotFoundError(missing(displayName(store.stored(reference.name))), {
      cause: error,
    });
  }
}
