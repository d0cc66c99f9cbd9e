/** `POST /api/generate` (api.md 5). */
import { Elysia } from "elysia";
import type { ChatMessage, Conversation } from "../../chat/messages.ts";
import { fitChat } from "../../chat/prompt.ts";
import { renderGo, renderSuffix } from "../../chat/render-go.ts";
import type { GenerateEvent } from "../../engine/engine.ts";
import { InvalidRequestError, ModelNotFoundError, UnsupportedError } from "../../errors.ts";
import type { StoredModel } from "../../model/model.ts";
import type { Think } from "../../model/think.ts";
import type { Lease } from "../../scheduler/scheduler.ts";
import type { ServerDeps } from "../deps.ts";
import { errorLine, errorResponse } from "./errors.ts";
import { goBody } from "./go-body.ts";
import {
  acquire,
  checkCapabilities,
  checkFormat,
  checkTopLogprobs,
  logprobsOf,
  metrics,
  optionsFor,
  promptEngine,
  promptSource,
  readFields,
  runPrompt,
  tagsOf,
  wireLogprobs,
} from "./inference.ts";
import { findModel, referenceOf } from "./lookup.ts";
import { outputParser } from "./output.ts";
import { GenerateBody } from "./schemas.ts";
import { type RunScope, respond, runScope } from "./streaming.ts";
import { utcTime } from "./times.ts";

/** The same object in a different key order never happens: clients compare texts. */
function line(
  model: string,
  response: string,
  rest: Record<string, unknown>,
  done: boolean,
): string {
  const { thinking, ...more } = rest;
  return JSON.stringify({
    model,
    created_at: utcTime(),
    response,
    ...(thinking ? { thinking } : {}),
    done,
    ...more,
  });
}

/** What the prompt is made of, before a model is there to fit it. */
function conversationOf(
  body: GenerateBody,
  model: StoredModel,
  think: Think | undefined,
): Conversation {
  const system = body.system || model.system;
  const messages: ChatMessage[] = [
    ...(system ? [{ role: "system", content: system }] : []),
    ...(body.context === undefined ? model.messages : []),
    { role: "user", content: body.prompt ?? "" },
  ];
  return { messages, tools: [], think };
}

async function promptText(
  deps: ServerDeps,
  body: GenerateBody,
  model: StoredModel,
  think: Think | undefined,
  lease: Lease,
): Promise<string> {
  if (body.raw) return body.prompt ?? "";
  const engine = promptEngine(lease.model);
  const before =
    body.context && body.context.length > 0 ? await lease.model.detokenize(body.context) : "";
  const source = promptSource(deps, model);
  const conversation = conversationOf(body, model, think);
  if (body.suffix) {
    const template = body.template || source.goTemplate || "";
    return before + renderSuffix(template, body.prompt ?? "", body.suffix, think);
  }
  if (body.template) return before + renderGo(body.template, conversation);
  // Without any template the prompt is the text itself (`{{ .Prompt }}`).
  if (source.choice === "none") return before + (body.prompt ?? "");
  const limit = lease.contextLength;
  const options = { limit, truncate: body.truncate ?? true };
  return before + (await fitChat(source, conversation, engine, options)).text;
}

interface Run {
  readonly deps: ServerDeps;
  readonly body: GenerateBody;
  readonly model: StoredModel;
  readonly think: Think | undefined;
  readonly lease: Lease;
  readonly since: number;
}

/** The run as pieces of the answer: non-final lines, then the fields of the final one. */
async function* answer(
  { deps, body, model, think, lease, since }: Run,
  signal: AbortSignal,
): AsyncGenerator<{
  text: string;
  thinking: string;
  logprobs: unknown[] | undefined;
  final?: Record<string, unknown>;
}> {
  const text = await promptText(deps, body, model, think, lease);
  const parser = outputParser({
    named: body.raw ? undefined : model.config.parser,
    think,
    lastMessage: undefined,
    thinkTags: think?.on && !body.raw ? tagsOf(deps, model) : undefined,
    prompt: text,
    tools: [],
    toolTag: "",
  });
  const events = runPrompt(
    deps,
    {
      lease,
      resolved: optionsFor(deps, model, body.options),
      text,
      truncate: body.truncate ?? true,
      shift: body.shift ?? true,
      logprobs: logprobsOf(body.logprobs, body.top_logprobs),
      wantContext: !body.raw,
    },
    signal,
  );
  for await (const event of events) {
    if (event.type === "done") {
      const rest = parser.add("", true);
      if (rest.content !== "" || rest.thinking !== "") {
        yield { text: rest.content, thinking: rest.thinking, logprobs: undefined };
      }
      yield {
        text: "",
        thinking: "",
        logprobs: undefined,
        final: finalFields(event, since, lease),
      };
      return;
    }
    const logprobs = wireLogprobs(event.logprobs, body.top_logprobs);
    const { content, thinking } = parser.add(event.text, false);
    if (content !== "" || thinking !== "" || logprobs !== undefined) {
      yield { text: content, thinking, logprobs };
    }
  }
}

function finalFields(
  done: Extract<GenerateEvent, { type: "done" }>,
  since: number,
  lease: Lease,
): Record<string, unknown> {
  return {
    done_reason: done.reason,
    ...(done.context === undefined ? {} : { context: done.context }),
    ...metrics(done, since, lease.loadNs),
  };
}

async function* streamLines(run: Run, scope: RunScope): AsyncGenerator<string> {
  try {
    const name = run.body.model ?? "";
    for await (const { text, thinking, logprobs, final } of answer(run, scope.signal)) {
      const extra = { ...(thinking ? { thinking } : {}), ...(logprobs ? { logprobs } : {}) };
      yield final === undefined ? line(name, text, extra, false) : line(name, "", final, true);
    }
  } finally {
    scope.end();
  }
}

async function single(run: Run, scope: RunScope): Promise<Response> {
  try {
    let text = "";
    let thinking = "";
    const logprobs: unknown[] = [];
    let final: Record<string, unknown> = {};
    for await (const piece of answer(run, scope.signal)) {
      text += piece.text;
      thinking += piece.thinking;
      if (piece.logprobs !== undefined) logprobs.push(...piece.logprobs);
      if (piece.final !== undefined) final = piece.final;
    }
    const rest = { ...final, ...(logprobs.length > 0 ? { logprobs } : {}) };
    return respond(line(run.body.model ?? "", text, { thinking, ...rest }, true));
  } finally {
    scope.end();
  }
}

async function generate(deps: ServerDeps, body: GenerateBody, request: Request): Promise<Response> {
  const since = performance.now();
  const { keepAlive, think: asked } = readFields(body, body.images);
  checkTopLogprobs(body.top_logprobs);
  const raw = body.model ?? "";
  if (raw.trim() === "") throw new ModelNotFoundError("model '' not found");
  const model = await findModel(deps, referenceOf(raw), () => `model '${raw}' not found`);
  const prompt = body.prompt ?? "";
  if (prompt === "" && keepAlive === 0n) {
    if (model.ggufPath !== undefined) deps.scheduler.expire(model.ggufPath);
    return respond(line(raw, "", { done_reason: "unload" }, true));
  }
  if (body.raw && (body.system || body.template || body.context?.length)) {
    throw new InvalidRequestError("raw mode does not support template, system, or context");
  }
  const wishes = {
    chat: false,
    raw,
    tools: false,
    suffix: Boolean(body.suffix),
    think: asked,
  };
  const think = checkCapabilities(deps, model, wishes);
  const resolved = optionsFor(deps, model, body.options);
  const scope = runScope(request);
  const lease = await acquire(deps, model, resolved, keepAlive, scope);
  scope.hold(lease);
  const run = { deps, body, model, think, lease, since };
  return runAnswer(run, scope, prompt);
}

async function runAnswer(run: Run, scope: RunScope, prompt: string): Promise<Response> {
  const { body } = run;
  const raw = body.model ?? "";
  if (prompt === "") {
    scope.end();
    return respond(line(raw, "", { done_reason: "load" }, true));
  }
  try {
    refuseUnsupported(body);
    if (body._debug_render_only) {
      const rendered = await promptText(run.deps, body, run.model, run.think, run.lease);
      const debug = { _debug_info: { rendered_template: rendered } };
      return respond(line(raw, "", debug, false));
    }
    if (body.stream === false) return await single(run, scope);
    return await scope.stream(streamLines(run, scope), errorLine);
  } catch (error) {
    return errorResponse(error, { plain: body.stream !== false });
  } finally {
    if (!scope.streaming) scope.end();
  }
}

/** Says plainly what this version does not do yet. */
function refuseUnsupported(body: GenerateBody): void {
  if (checkFormat(body.format) !== undefined) {
    throw new UnsupportedError("format: this version cannot constrain answers yet");
  }
  if ((body.images ?? []).length > 0) {
    throw new InvalidRequestError(
      "Multimodal data provided, but model does not support multimodal requests.",
    );
  }
}

export const generateRoute = (deps: ServerDeps) =>
  new Elysia({ name: "generate" }).post(
    "/api/generate",
    ({ body, request }) => generate(deps, body, request),
    { parse: goBody("GenerateRequest", GenerateBody), body: GenerateBody },
  );
