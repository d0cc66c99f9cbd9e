/** `POST /api/generate` (api.md 5). */
import { Elysia } from "elysia";
import type { ChatMessage, Conversation } from "../../chat/messages.ts";
import type { ParsedCall } from "../../chat/output.ts";
import { InvalidRequestError, ModelNotFoundError } from "../../errors.ts";
import type { StoredModel } from "../../model/model.ts";
import type { ResolvedOptions } from "../../model/options.ts";
import type { Think } from "../../model/think.ts";
import type { Lease } from "../../scheduler/scheduler.ts";
import type { ServerDeps } from "../deps.ts";
import { type AnswerPiece, beginAnswer } from "../inference/answer.ts";
import {
  checkCapabilities,
  checkImages,
  checkTopLogprobs,
  readFields,
} from "../inference/checks.ts";
import { type FormatPlan, optionsOfTry, planFormat, retrying } from "../inference/format.ts";
import { type Acquisition, acquire, optionsFor, withRoom } from "../inference/load.ts";
import { findModel, referenceOf } from "../inference/lookup.ts";
import { outputReader } from "../inference/output.ts";
import {
  type BuiltPrompt,
  generatePrompt,
  isCut,
  rawPrompt,
  type Truncation,
} from "../inference/prompt.ts";
import { errorLine, errorResponse } from "./errors.ts";
import { goBody } from "./go-body.ts";
import {
  extraFields,
  formatFields,
  logprobsOf,
  metrics,
  wantsExtras,
  wholeTruncation,
  wireLogprobs,
  withFormatLevel,
  withTruncation,
} from "./measures.ts";
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
    {
      role: "user",
      content: body.prompt ?? "",
      ...(body.images?.length ? { images: body.images } : {}),
    },
  ];
  return { messages, tools: [], toolsSent: !body.template, think };
}

interface Run {
  readonly deps: ServerDeps;
  readonly body: GenerateBody;
  readonly model: StoredModel;
  readonly resolved: ResolvedOptions;
  readonly think: Think | undefined;
  readonly lease: Lease;
  /** `performance.now()` when the request came. */
  readonly since: number;
  readonly extras: boolean;
  readonly format: FormatPlan | undefined;
}

function promptOf({ deps, body, model, resolved, think, lease }: Run): Promise<BuiltPrompt> {
  const limits = {
    truncate: body.truncate ?? true,
    shift: body.shift ?? true,
    keep: resolved.options.num_keep,
  };
  const context = { deps, model, lease, limits };
  if (body.raw) return rawPrompt(context, body.prompt ?? "", body.images ?? []);
  return generatePrompt(context, {
    prompt: body.prompt ?? "",
    suffix: body.suffix ?? "",
    template: body.template ?? "",
    context: body.context ?? [],
    conversation: conversationOf(body, model, think),
  });
}

/** What of an object differs from line to line. */
interface LineFields {
  readonly text: string;
  readonly thinking: string;
  readonly logprobs: readonly unknown[] | undefined;
  /** Of the last object. */
  readonly final: Readonly<Record<string, unknown>> | undefined;
  /** Of the last object: what the whole answer left out. */
  readonly cut: Truncation | undefined;
}

/** Calls that a built-in parser found; generate gives them no ids (output-parsing.md 4). */
function wireCalls(calls: readonly ParsedCall[]): unknown[] {
  return calls.map(({ name, arguments: values }, index) => ({
    function: { index, name, arguments: values },
  }));
}

/**
 * The answer as objects. With tags of a template every step makes one, even an empty one, as in
 * Ollama; a built-in parser's empty steps make none.
 * @param attempt counts tries of an answer that broke its form
 */
async function* objects(
  run: Run,
  prompt: BuiltPrompt,
  signal: AbortSignal,
  attempt = 0,
): AsyncGenerator<LineFields> {
  const { deps, body, model, think, lease, format } = run;
  const raw = body.raw ?? false;
  const wish = { raw, think, tools: [], lastMessage: undefined, prompt: prompt.text };
  const reader = outputReader(model, deps.config.goTemplate, wish);
  const wanted = {
    lease,
    resolved: optionsOfTry(run.resolved, attempt),
    prompt,
    format,
    shift: body.shift ?? true,
    logprobs: logprobsOf(body.logprobs, body.top_logprobs),
    wantContext: !raw,
  };
  const calls: ParsedCall[] = [];
  const answer = await beginAnswer(deps, wanted, reader, signal);
  for await (const event of answer.events) {
    const piece = event.type === "done" ? await answer.end(event) : answer.text(event);
    calls.push(...piece.calls);
    const { content: text, thinking, done } = piece;
    const logprobs = wireLogprobs(piece.logprobs, body.top_logprobs);
    const cut = done === undefined ? undefined : wholeTruncation(prompt.truncated, done);
    const final =
      done === undefined || cut === undefined
        ? undefined
        : {
            ...finalFields(run, cut, done, calls),
            ...formatFields(format, piece.broken, run.extras),
          };
    const empty = text === "" && thinking === "" && logprobs === undefined;
    if (!empty || reader.generic || final !== undefined) {
      yield { text, thinking, logprobs, final, cut };
    }
  }
}

function finalFields(
  { since, lease, extras }: Run,
  cut: Truncation,
  done: NonNullable<AnswerPiece["done"]>,
  calls: readonly ParsedCall[],
): Record<string, unknown> {
  return {
    done_reason: done.reason,
    ...(done.context === undefined ? {} : { context: done.context }),
    ...metrics(done, since, lease.loadNs),
    ...(extras ? extraFields(cut, done) : {}),
    ...(calls.length > 0 ? { tool_calls: wireCalls(calls) } : {}),
  };
}

async function* streamLines(
  run: Run,
  prompt: BuiltPrompt,
  { signal }: RunScope,
): AsyncGenerator<string> {
  const name = run.body.model ?? "";
  for await (const { text, thinking, logprobs, final } of objects(run, prompt, signal)) {
    const rest = { thinking, ...final, ...(logprobs ? { logprobs } : {}) };
    yield line(name, text, rest, final !== undefined);
  }
}

async function single(
  run: Run,
  prompt: BuiltPrompt,
  scope: RunScope,
  attempt: number,
): Promise<Response> {
  let text = "";
  let thinking = "";
  const logprobs: unknown[] = [];
  let last: Partial<LineFields> = {};
  for await (const piece of objects(run, prompt, scope.signal, attempt)) {
    text += piece.text;
    thinking += piece.thinking;
    logprobs.push(...(piece.logprobs ?? []));
    last = piece;
  }
  const rest = { ...last.final, ...(logprobs.length > 0 ? { logprobs } : {}) };
  const whole = line(run.body.model ?? "", text, { thinking, ...rest }, true);
  return withTruncation(respond(whole), last.cut);
}

async function generate(deps: ServerDeps, body: GenerateBody, request: Request): Promise<Response> {
  const since = performance.now();
  const { keepAlive, think: asked } = readFields(body);
  checkTopLogprobs(body.top_logprobs);
  const raw = body.model ?? "";
  if (raw.trim() === "") throw new ModelNotFoundError(`model '${raw}' not found`);
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
  const acquisition = { deps, model, resolved, keepAlive, scope };
  const lease = await acquire(acquisition);
  const extras = wantsExtras(request, deps.config.extras);
  const common = { deps, body, model, resolved, think, lease, since, extras };
  return runAnswer({ ...common, format: undefined }, scope, acquisition);
}

async function runAnswer(
  unplanned: Run,
  scope: RunScope,
  acquisition: Acquisition,
): Promise<Response> {
  const { body, deps, lease } = unplanned;
  const name = body.model ?? "";
  try {
    if (!body.prompt) return respond(line(name, "", { done_reason: "load" }, true));
    checkImages(unplanned.lease, unplanned.model, body.images?.length ?? 0);
    const format = await planFormat(body, lease.model, scope.signal);
    const attempt = (lease: Lease) => promptOf({ ...unplanned, lease });
    const roomy = await withRoom(acquisition, unplanned.lease, attempt, isCut);
    const { result: prompt } = roomy;
    const run = { ...unplanned, format, lease: roomy.lease };
    if (body._debug_render_only) {
      const debug = { _debug_info: { rendered_template: prompt.text } };
      return respond(line(name, "", debug, false));
    }
    const response =
      body.stream === false
        ? await retrying(deps.config.formatRetries, (attempt) =>
            single(run, prompt, scope, attempt),
          )
        : withTruncation(
            await scope.stream(streamLines(run, prompt, scope), errorLine),
            prompt.truncated,
          );
    return withFormatLevel(response, format);
  } catch (error) {
    return errorResponse(scope.reason(error), { plain: body.stream !== false });
  } finally {
    if (!scope.streaming) scope.end();
  }
}

export const generateRoute = (deps: ServerDeps) =>
  new Elysia({ name: "generate" }).post(
    "/api/generate",
    ({ body, request }) => generate(deps, body, request),
    { parse: goBody("GenerateRequest", GenerateBody), body: GenerateBody },
  );
