/** `POST /api/create` (api.md 10, 14). */
import { Elysia } from "elysia";
import { TemplateError } from "../../chat/gotemplate/errors.ts";
import { parseTemplate } from "../../chat/gotemplate/template.ts";
import {
  InvalidRequestError,
  ModelNotFoundError,
  OptionError,
  UnsupportedError,
} from "../../errors.ts";
import { type CreateRequest, checkCreateRequest, createModel } from "../../model/create.ts";
import { parseModelfile } from "../../model/modelfile/parse.ts";
import { modelfileFields } from "../../model/modelfile/request.ts";
import { isValidName, parseName } from "../../model/name.ts";
import type { ServerDeps } from "../deps.ts";
import { findModel, referenceOf } from "../inference/lookup.ts";
import { errorBody, errorResponse } from "./errors.ts";
import { goBody } from "./go-body.ts";
import { CreateBody } from "./schemas.ts";
import { runScope } from "./streaming.ts";

/** Licences as a list. @throws OptionError in Go's words: like a wrong option, it is answered with 500 */
function licenses(value: unknown): string[] {
  if (value === undefined || value === null || value === "") return [];
  if (typeof value === "string") return [value];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  const kind = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  throw new OptionError(`json: cannot unmarshal ${kind} into Go value of type []string`);
}

/** Fields of the old form: a Modelfile's text in the request (modelfile.md 7). */
function modelfileRequest(text: string): Partial<CreateRequest> {
  const fields = modelfileFields(parseModelfile(text));
  const from = fields.from.at(-1) ?? "";
  const blob = /^@(sha256[:-][0-9a-fA-F]{64})$/.exec(from)?.[1];
  const adapter = /^@(sha256[:-][0-9a-fA-F]{64})$/.exec(fields.adapters.at(-1) ?? "")?.[1];
  if (blob === undefined && !isValidName(parseName(from))) {
    throw new InvalidRequestError(`invalid model reference: ${from}`);
  }
  return {
    ...(blob === undefined ? { from } : { files: { "model.gguf": blob } }),
    ...(adapter === undefined ? {} : { adapters: { "adapter.gguf": adapter } }),
    ...(fields.template === undefined ? {} : { template: fields.template }),
    ...(fields.system === undefined ? {} : { system: fields.system }),
    ...(fields.license === undefined ? {} : { license: fields.license }),
    ...(fields.parameters === undefined ? {} : { parameters: fields.parameters }),
    ...(fields.messages === undefined ? {} : { messages: fields.messages }),
    ...(fields.renderer === undefined ? {} : { renderer: fields.renderer }),
    ...(fields.parser === undefined ? {} : { parser: fields.parser }),
  };
}

function createRequest(body: CreateBody): CreateRequest {
  if (Object.keys(body.draft_files ?? {}).length > 0 || body.draft_quantize) {
    throw new UnsupportedError("draft_files: this version cannot use draft models yet");
  }
  const old =
    body.modelfile && !body.from && body.files === undefined
      ? modelfileRequest(body.modelfile)
      : {};
  if (body.path && !body.modelfile && !body.from && body.files === undefined) {
    throw new UnsupportedError("path: send the Modelfile's text as modelfile instead");
  }
  const license = licenses(body.license);
  const quantize = body.quantize || body.quantization;
  return {
    ...old,
    model: body.model || body.name || "",
    ...(body.from ? { from: body.from } : {}),
    ...(body.files === undefined ? {} : { files: body.files as Record<string, string> }),
    ...(body.adapters === undefined ? {} : { adapters: body.adapters as Record<string, string> }),
    ...(body.template ? { template: body.template } : {}),
    ...(body.system ? { system: body.system } : {}),
    ...(license.length > 0 ? { license } : {}),
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
    ...(body.info === undefined ? {} : { info: body.info as Record<string, unknown> }),
  };
}

function checkTemplate(template: string): void {
  try {
    parseTemplate(template);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new InvalidRequestError(`template error: ${error.message}`, { cause: error });
  }
}

async function create(deps: ServerDeps, body: CreateBody, request: Request): Promise<Response> {
  const wanted = createRequest(body);
  checkCreateRequest(wanted);
  if (wanted.from) {
    const reference = referenceOf(wanted.from);
    await findModel(deps, reference, (short) => `model '${short}' not found`).catch((error) => {
      if (!(error instanceof ModelNotFoundError)) throw error;
    });
  }
  const progress = createModel(deps.store, wanted, { checkTemplate });
  const scope = runScope(request);
  if (body.stream === false) {
    try {
      let last: unknown = {};
      for await (const status of progress) last = status;
      return new Response(JSON.stringify(last), {
        headers: { "content-type": "application/json" },
      });
    } catch (error) {
      return errorResponse(error, { plain: true });
    }
  }
  async function* statusLines(): AsyncGenerator<string> {
    for await (const status of progress) yield JSON.stringify(status);
  }
  try {
    return await scope.stream(statusLines(), errorBody);
  } catch (error) {
    return errorResponse(error, { plain: true });
  }
}

export const createRoute = (deps: ServerDeps) =>
  new Elysia({ name: "create" }).post(
    "/api/create",
    ({ body, request }) => create(deps, body, request),
    { parse: goBody("CreateRequest", CreateBody), body: CreateBody },
  );
