/** `DELETE /api/delete` (api.md 10.5). */
import { Elysia } from "elysia";
import { ModelNameError, ModelNotFoundError } from "../../errors.ts";
import { goQuote } from "../../model/gojson.ts";
import { isValidName, parseName, pullForm, splitReference } from "../../model/name.ts";
import type { ServerDeps } from "../deps.ts";
import { goBody } from "./go-body.ts";
import { DeleteBody } from "./schemas.ts";

function remove({ store }: ServerDeps, body: DeleteBody): Response {
  const raw = body.model || body.name || "";
  // A tag may be the cloud's word and yet be stored here: copy and create take it as any other.
  const name = parseName(pullForm(splitReference(raw)));
  if (!isValidName(name)) throw new ModelNameError(`name ${goQuote(raw)} is invalid`);
  try {
    store.delete(name);
  } catch (error) {
    if (!(error instanceof ModelNotFoundError)) throw error;
    throw new ModelNotFoundError(`model '${raw}' not found`, { cause: error });
  }
  return new Response(null);
}

export const deleteRoute = (deps: ServerDeps) =>
  new Elysia({ name: "delete" }).delete(
    "/api/delete",
    ({ body }) => remove(deps, body),
    goBody("DeleteRequest", DeleteBody),
  );
