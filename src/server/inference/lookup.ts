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

/** @throws ModelNameError (`invalid model name`), CloudDisabledError */
export function referenceOf(
  raw: string,
  cloudText = "remote model is unavailable",
): ModelReference {
  let reference: ModelReference;
  try {
    reference = parseReference(raw);
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
  const short = displayName(reference.name);
  if (guide !== undefined && isGuide(short)) await installGuide(store, guide);
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
