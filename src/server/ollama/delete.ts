/** `DELETE /api/delete` (api.md 10.5). */
import { Elysia } from "elysia";
import { ModelNameError, ModelNotFoundError, ModelRequiredError } from "../../errors.ts";
import { parseName } from "../../model/name.ts";
import type { ServerDeps } from "../deps.ts";
import { referenceOf } from "../inference/lookup.ts";
import { goBody } from "./go-body.ts";
import { DeleteBody } from "./schemas.ts";

function remove({ store }: ServerDeps, body: DeleteBody): Response {
  const raw = body.model || body.name || "";
  const invalid = () => new ModelNameError(`name ${JSON.stringify(raw)} is invalid`);
  if (raw.trim() === "") throw new ModelRequiredError();
  let name = parseName(raw.trim());
  try {
    name = referenceOf(raw).name;
  } catch (error) {
    if (error instanceof ModelNameError)
      throw error.message === "invalid model name" ? invalid() : error;
    // Names of the cloud are never stored here.
    throw new ModelNotFoundError(`model '${raw}' not found`, { cause: error });
  }
  try {
    store.delete(name);
  } catch (error) {
    if (!(error instanceof ModelNotFoundError)) throw error;
    throw new ModelNotFoundError(`model '${raw}' not found`, { cause: error });
  }
  return new Response(null);
}

export const deleteRoute = (deps: ServerDeps) =>
  new Elysia({ name: "delete" }).delete("/api/delete", ({ body }) => remove(deps, body), {
    parse: goBody("DeleteRequest", DeleteBody),
    body: DeleteBody,
  });
