/** `POST /api/show` (api.md 9.3). */
import { Elysia } from "elysia";
import { ModelRequiredError } from "../../errors.ts";
import { showModel } from "../../model/show.ts";
import type { ServerDeps } from "../deps.ts";
import { findModel, referenceOf } from "../inference/lookup.ts";
import { goBody } from "./go-body.ts";
import { ShowBody } from "./schemas.ts";
import { respond } from "./streaming.ts";
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

export const showRoute = (deps: ServerDeps) =>
  new Elysia({ name: "show" }).post(
    "/api/show",
    ({ body, request }) => show(deps, body, request),
    goBody("ShowRequest", ShowBody),
  );
