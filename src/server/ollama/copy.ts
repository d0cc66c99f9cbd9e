/** `POST /api/copy` (api.md 10.4). */
import { Elysia } from "elysia";
import { ModelNameError, ModelNotFoundError } from "../../errors.ts";
import { goQuote } from "../../model/gojson.ts";
import { installGuide, isGuide } from "../../model/guide.ts";
import { isValidName, parseName } from "../../model/name.ts";
import type { ServerDeps } from "../deps.ts";
import { goBody } from "./go-body.ts";
import { CopyBody } from "./schemas.ts";

async function copy({ store, guide }: ServerDeps, body: CopyBody): Promise<Response> {
  const source = parseName(body.source ?? "");
  if (!isValidName(source)) {
    throw new ModelNameError(`source ${goQuote(body.source ?? "")} is invalid`);
  }
  const target = parseName(body.destination ?? "");
  if (!isValidName(target)) {
    throw new ModelNameError(`destination ${goQuote(body.destination ?? "")} is invalid`);
  }
  if (guide !== undefined && isGuide(source)) await installGuide(store, guide);
  try {
    store.copy(source, target);
  } catch (error) {
    if (!(error instanceof ModelNotFoundError)) throw error;
    throw new ModelNotFoundError(`model ${goQuote(body.source ?? "")} not found`, { cause: error });
  }
  return new Response(null);
}

export const copyRoute = (deps: ServerDeps) =>
  new Elysia({ name: "copy" }).post(
    "/api/copy",
    ({ body }) => copy(deps, body),
    goBody("CopyRequest", CopyBody),
  );
