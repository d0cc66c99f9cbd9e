/** `POST /api/create` (api.md 10, 14). */
import { Elysia } from "elysia";
import { ModelNameError, ModelNotFoundError, OptionError } from "../../errors.ts";
import { createModel } from "../../model/create/create.ts";
import { type CreateRequest, checkCreateRequest } from "../../model/create/request.ts";
import type { ServerDeps } from "../deps.ts";
import { findModel, referenceOf } from "../inference/lookup.ts";
import { recordOf } from "../operations/records.ts";
import { isLoopback } from "../plugins/hosts.ts";
import { createTools } from "./create-tools.ts";
import { goBody } from "./go-body.ts";
import { fromOldForm, isOldForm } from "./old-create.ts";
import { CreateBody } from "./schemas.ts";
import { progressAnswer } from "./streaming.ts";

/** Licences as a list. @throws OptionError in Go's words: like a wrong option, it is answered with 500 */
function licenses(value: unknown): string[] {
  if (value === undefined || value === null || value === "") return [];
  if (typeof value === "string") return [value];
  const refuse = (bad: unknown, type: string): never => {
    const kind = Array.isArray(bad) ? "array" : typeof bad === "boolean" ? "bool" : typeof bad;
    throw new OptionError(`json: cannot unmarshal ${kind} into Go value of type ${type}`);
  };
  if (!Array.isArray(value)) return refuse(value, "[]string");
  const texts = value.map((item: unknown) => item ?? "");
  return texts.map((item) => (typeof item === "string" ? item : refuse(item, "string")));
}

/** @param old what a body of the old form says; fields of the new one go before it */
function createRequest(body: CreateBody, old: Partial<CreateRequest>): CreateRequest {
  const quantize = body.quantize || body.quantization;
  return {
    ...old,
    model: body.model || body.name || "",
    ...(body.from ? { from: body.from } : {}),
    ...(body.files === undefined ? {} : { files: body.files as Record<string, string> }),
    ...(body.adapters === undefined ? {} : { adapters: body.adapters as Record<string, string> }),
    ...(body.draft_files === undefined
      ? {}
      : { draftFiles: body.draft_files as Record<string, string> }),
    ...(body.draft_quantize ? { draftQuantize: body.draft_quantize } : {}),
    ...(body.template ? { template: body.template } : {}),
    ...(body.system ? { system: body.system } : {}),
    ...(body.parameters === undefined
      ? {}
      : { parameters: body.parameters as Record<string, unknown> }),
    ...(body.messages === undefined
      ? {}
      : {
          messages: body.messages.map(({ role = "", content = "", ...rest }) => ({
            role,
            content,
            ...rest,
          })),
        }),
    ...(quantize ? { quantize } : {}),
    ...(body.renderer ? { renderer: body.renderer } : {}),
    ...(body.parser ? { parser: body.parser } : {}),
    ...(body.requires ? { requires: body.requires } : {}),
    ...(body.remote_host ? { remoteHost: body.remote_host } : {}),
    ...(body.info === undefined ? {} : { info: body.info as Record<string, unknown> }),
  };
}

/** Clients that came through a proxy are not on this machine, whatever their address says. */
function isLocalClient(request: Request): boolean {
  const forwarded = request.headers.has("x-forwarded-for") || request.headers.has("forwarded");
  const client = recordOf(request)?.client ?? "";
  return !forwarded && (client === "local" || isLoopback(client));
}

async function create(deps: ServerDeps, body: CreateBody, request: Request): Promise<Response> {
  const context = { store: deps.store, local: isLocalClient(request) };
  const old = isOldForm(body) ? await fromOldForm(body, context) : {};
  const asked = createRequest(body, old);
  checkCreateRequest(asked);
  if (asked.from && !asked.remoteHost) {
    if (asked.from.trim() === "") throw new ModelNameError("invalid model name");
    const reference = referenceOf(asked.from);
    await findModel(deps, reference, (short) => `model '${short}' not found`).catch((error) => {
      if (!(error instanceof ModelNotFoundError)) throw error;
    });
  }
  const license = licenses(body.license);
  const wanted = license.length > 0 ? { ...asked, license } : asked;
  return progressAnswer(
    (signal) => createModel(deps.store, wanted, createTools(deps, signal)),
    body.stream,
    request,
  );
}

export const createRoute = (deps: ServerDeps) =>
  new Elysia({ name: "create" }).post(
    "/api/create",
    ({ body, request }) => create(deps, body, request),
    goBody("CreateRequest", CreateBody),
  );
