/** What making a model needs of the server: jobs, templates, pulls of bases (create.md). */
import { TemplateError } from "../../chat/gotemplate/errors.ts";
import { parseStoredTemplate } from "../../chat/gotemplate/template.ts";
import { InvalidRequestError } from "../../errors.ts";
import { createModel } from "../../model/create/create.ts";
import type { CreateTools } from "../../model/create/request.ts";
import { fullName, type ModelName, parseName, pullForm, splitReference } from "../../model/name.ts";
import { pullModel, type TransferRequest } from "../../model/registry/pull.ts";
import type { ServerDeps } from "../deps.ts";

/** @throws InvalidRequestError */
function checkTemplate(template: string): void {
  try {
    parseStoredTemplate(template);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new InvalidRequestError(`template error: ${error.message}`, { cause: error });
  }
}

/** Makes a model of the shards that a pull fetched. */
export function makerOf(
  deps: ServerDeps,
  name: ModelName,
  signal: AbortSignal,
): NonNullable<TransferRequest["create"]> {
  return (files, digest) => {
    const pinned = digest === undefined ? {} : { digest };
    const request = { model: fullName(name), files, ...pinned };
    return createModel(deps.store, request, createTools(deps, signal));
  };
}

export function createTools(deps: ServerDeps, signal: AbortSignal): CreateTools {
  return {
    checkTemplate,
    jobs: deps.jobs,
    pull: (from, leaving) => {
      const name = parseName(pullForm(splitReference(from)));
      return pullModel({
        ...deps,
        name,
        insecure: false,
        signal: leaving,
        create: makerOf(deps, name, leaving),
      });
    },
    logger: deps.logger,
    signal,
  };
}
