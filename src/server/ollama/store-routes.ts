/** `show`, `create`, `copy`, `delete`, `blobs`, and the registry routes (api.md 9.3, 10, 11). */
import { Elysia, t } from "elysia";
import { TemplateError } from "../../chat/gotemplate/errors.ts";
import { parseTemplate } from "../../chat/gotemplate/template.ts";
import {
  BlobNotFoundError,
  InvalidRequestError,
  ModelNameError,
  ModelNotFoundError,
  ModelRequiredError,
  StoreError,
  UnsupportedError,
} from "../../errors.ts";
import { type CreateRequest, checkCreateRequest, createModel } from "../../model/create.ts";
import { type Digest, parseDigest } from "../../model/digest.ts";
import { parseModelfile } from "../../model/modelfile/parse.ts";
import { modelfileFields } from "../../model/modelfile/request.ts";
import { fullName, isValidName, parseName } from "../../model/name.ts";
import { showModel } from "../../model/show.ts";
import type { ServerDeps } from "../deps.ts";
import { errorBody, errorResponse } from "./errors.ts";
import { goBody } from "./go-body.ts";
import { findModel, referenceOf } from "./lookup.ts";
import { CopyBody, CreateBody, DeleteBody, ShowBody, TransferBody } from "./schemas.ts";
import { respond, runScope } from "./streaming.ts";
import { localTime } from "./times.ts";

async function show(deps: ServerDeps, body: ShowBody, request: Request): Promise<Response> {
  const raw = body.model || body.name || "";
  if (raw.trim() === "") throw new ModelRequiredError();
  const reference = referenceOf(raw, "remote model details are unavailable");
  const model = await findModel(deps, reference, (short) => `model '${short}' not found`);
  const answer = showModel(model, {
    verbose: body.verbose ?? false,
    ...(body.system ? { system: body.system } : {}),
    ...(body.options ? { options: body.options as Record<string, unknown> } : {}),
    goTemplate: deps.config.goTemplate,
  });
  const { modifiedAt, requires, capabilities, ...rest } = answer;
  const agent = request.headers.get("user-agent") ?? "";
  const info = agent.startsWith("GitHubCopilotChat/")
    ? { ...rest.model_info, "general.basename": raw }
    : rest.model_info;
  return respond(
    JSON.stringify(
      {
        ...rest,
        model_info: info,
        ...(capabilities === undefined ? {} : { capabilities }),
        modified_at: localTime(modifiedAt),
        ...(requires === undefined ? {} : { requires }),
      },
      (_, value) => (typeof value === "bigint" ? Number(value) : value),
    ),
  );
}

/** Licences as a list. @throws as Go does for other kinds */
function licenses(value: unknown): string[] {
  if (value === undefined || value === null || value === "") return [];
  if (typeof value === "string") return [value];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  const kind = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  throw new Error(`json: cannot unmarshal ${kind} into Go value of type []string`);
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

function copy({ store }: ServerDeps, body: CopyBody): Response {
  const source = parseName(body.source ?? "");
  if (!isValidName(source)) throw new ModelNameError(`source "${body.source ?? ""}" is invalid`);
  const target = parseName(body.destination ?? "");
  if (!isValidName(target)) {
    throw new ModelNameError(`destination "${body.destination ?? ""}" is invalid`);
  }
  try {
    store.copy(source, target);
  } catch (error) {
    if (!(error instanceof ModelNotFoundError)) throw error;
    throw new ModelNotFoundError(`model "${body.source}" not found`, { cause: error });
  }
  return new Response(null);
}

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

function digestParam(text: string): Digest {
  return parseDigest(decodeURIComponent(text));
}

function headBlob({ store }: ServerDeps, text: string): Response {
  const digest = digestParam(text);
  if (!store.hasBlob(digest)) throw new BlobNotFoundError(`blob "${digest}" not found`);
  return new Response(null, { status: 200 });
}

async function* bodyOf(request: Request): AsyncGenerator<Uint8Array> {
  if (request.body === null) return;
  for await (const chunk of request.body) yield chunk;
}

async function postBlob({ store }: ServerDeps, text: string, request: Request): Promise<Response> {
  const digest = digestParam(text);
  if (store.hasBlob(digest)) {
    // The body is drained, so that clients that still send see no broken pipe.
    for await (const _ of bodyOf(request));
    return new Response(null, { status: 200 });
  }
  await store.putStream(bodyOf(request), digest);
  return new Response(null, { status: 201 });
}

/** Pull and push: names are checked as they will be; the transfer itself is not part of this version. */
function transfer(action: "pull" | "push", body: TransferBody): Response {
  const raw = body.model || body.name || "";
  if (action === "push" && raw.trim() === "") throw new ModelRequiredError();
  if (raw.trim() === "") throw new ModelNameError("invalid model name");
  const name = parseName(raw.trim());
  if (!isValidName(name)) {
    if (action === "push") throw new StoreError(`unqualified name: ${fullName(name)}`);
    throw new ModelNameError("invalid model name");
  }
  throw new UnsupportedError(`${action}: this version cannot talk to registries yet`);
}

export const storeRoutes = (deps: ServerDeps) => {
  const digest = t.Object({ digest: t.String() });
  return new Elysia({ name: "store" })
    .post("/api/show", ({ body, request }) => show(deps, body, request), {
      parse: goBody("ShowRequest", ShowBody),
      body: ShowBody,
    })
    .post("/api/create", ({ body, request }) => create(deps, body, request), {
      parse: goBody("CreateRequest", CreateBody),
      body: CreateBody,
    })
    .post("/api/copy", ({ body }) => copy(deps, body), {
      parse: goBody("CopyRequest", CopyBody),
      body: CopyBody,
    })
    .delete("/api/delete", ({ body }) => remove(deps, body), {
      parse: goBody("DeleteRequest", DeleteBody),
      body: DeleteBody,
    })
    .head("/api/blobs/:digest", ({ params }) => headBlob(deps, params.digest), { params: digest })
    .post("/api/blobs/:digest", ({ params, request }) => postBlob(deps, params.digest, request), {
      params: digest,
      parse: "none",
    })
    .post("/api/pull", ({ body }) => transfer("pull", body), {
      parse: goBody("PullRequest", TransferBody),
      body: TransferBody,
    })
    .post("/api/push", ({ body }) => transfer("push", body), {
      parse: goBody("PushRequest", TransferBody),
      body: TransferBody,
    });
};
