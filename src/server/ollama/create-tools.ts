/** What making a model needs of the server: jobs, templates, pulls of bases (create.md). */
import { TemplateError } from "../../chat/gotemplate/errors.ts";
import { parseStoredTemplate } from "../../chat/gotemplate/template.ts";
import { InvalidRequestError } from "../../errors.ts";
import type { CreateTools } from "../../model/create/request.ts";
import { parseName, pullForm, splitReference } from "../../model/name.ts";
import { pullModel } from "../../model/registry/pull.ts";
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

export function createTools(deps: ServerDeps, signal: AbortSignal): CreateTools {
  return {
    checkTemplate,
    jobs: deps.jobs,
    pull: (from, leaving) => {
      const name = parseName(pullForm(splitReference(from)));
      return pullModel({ ...deps, name, insecure: false, signal: leaving });
    },
    logger: deps.logger,
    signal,
  };
}
