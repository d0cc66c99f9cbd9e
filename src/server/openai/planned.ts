/**
 * The paths of OpenAI's and Anthropic's APIs. This version knows them, so that wrong methods and
 * empty requests are answered rightly, and says plainly that it does not serve them.
 */
import { Type as t } from "@sinclair/typebox";
import { Elysia } from "elysia";
import { InvalidRequestError } from "../../errors.ts";
import { goBody } from "../ollama/go-body.ts";

/** OpenAI's error shape. */
function openaiError(status: number, message: string): Response {
  const type = status === 400 ? "invalid_request_error" : "api_error";
  const error = { message, type, param: null, code: null };
  return Response.json({ error }, { status });
}

const absent = () =>
  openaiError(501, "this version serves Ollama's API only; its chat is POST /api/chat");

const CompletionsBody = t.Object({ messages: t.Optional(t.Array(t.Any(), { go: "[]Message" })) });

export const plannedRoutes = () =>
  new Elysia({ name: "openai" })
    .onError(({ error }) =>
      error instanceof InvalidRequestError ? openaiError(400, error.message) : undefined,
    )
    .post(
      "/v1/chat/completions",
      ({ body }) =>
        (body.messages ?? []).length === 0
          ? openaiError(400, "[] is too short - 'messages'")
          : absent(),
      goBody("ChatCompletionRequest", CompletionsBody),
    )
    .post("/v1/completions", absent, { parse: "none" })
    .post("/v1/embeddings", absent, { parse: "none" })
    .post("/v1/responses", absent, { parse: "none" })
    .post("/v1/audio/transcriptions", absent, { parse: "none" })
    .post("/v1/messages", absent, { parse: "none" })
    .get("/v1/models", absent)
    .get("/v1/models/:model", absent);
