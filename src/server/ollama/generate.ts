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
import { type Answering, type AnswerPiece, beginAnswer, type Done } from "../inference/answer.ts";
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

/** What of an object differs from line to line. */
interface LineFields {
  readonly text?: string;
  readonly thinking?: string;
  readonly logprobs?: readonly unknown[] | undefined;
  /** Of the last object. */
  readonly final?: Readonly<Record<string, unknown>> | undefined;
  /** Of the last object: what the whole answer left out. */
  readonly cut?: Truncation;
}

/**
 * The same object in a different key order never happens: clients compare texts. Members that are
 * undefined are left out.
 */
function line(model: string, fields: LineFields, done = fields.final !== undefined): string {
  const { text: response = "", thinking, logprobs, final } = fields;
  return JSON.stringify({
    model,
    created_at: utcTime(),
    response,
    thinking: thinking || undefined,
    done,
    ...final,
    logprobs,
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
async function begin(
  run: Run,
  prompt: BuiltPrompt,
  signal: AbortSignal,
  attempt = 0,
): Promise<Answering<LineFields | undefined>> {
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
  const fieldsOf = (piece: AnswerPiece): LineFields => {
    calls.push(...piece.calls);
    const { content: text, thinking } = piece;
    return { text, thinking, logprobs: wireLogprobs(piece.logprobs, body.top_logprobs) };
  };
  return {
    events: answer.events,
    text(event) {
      const fields = fieldsOf(answer.text(event));
      const empty = !fields.text && !fields.thinking && fields.logprobs === undefined;
      return empty && !reader.generic ? undefined : fields;
    },
    async end(event) {
      const piece = await answer.end(event);
      const fields = fieldsOf(piece);
      const cut = wholeTruncation(prompt.truncated, event);
      const form = formatFields(format, piece.broken, run.extras);
      return { ...fields, final: { ...finalFields(run, cut, event, calls), ...form }, cut };
    },
  };
}

function finalFields(
  { since, lease, extras }: Run,
  cut: Truncation,
  done: Done,
  calls: readonly ParsedCall[],
): Record<string, unknown> {
  return {
    done_reason: done.reason,
    context: done.context,
    ...metrics(done, since, lease.loadNs),
    ...(extras ? extraFields(cut, done) : undefined),
    tool_calls: calls.length > 0 ? wireCalls(calls) : undefined,
  };
}

async function* streamLines(
  run: Run,
  prompt: BuiltPrompt,
  { signal }: RunScope,
): AsyncGenerator<string> {
  const name = run.body.model ?? "";
  const objects = await begin(run, prompt, signal);
  for await (const event of objects.events) {
    const fields = event.type === "done" ? await objects.end(event) : objects.text(event);
    if (fields !== undefined) yield line(name, fields);
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
  let last: LineFields = {};
  const objects = await begin(run, prompt, scope.signal, attempt);
  for await (const event of objects.events) {
    const fields = event.type === "done" ? await objects.end(event) : objects.text(event);
    if (fields === undefined) continue;
    text += fields.text ?? "";
    thinking += fields.thinking ?? "";
    logprobs.push(...(fields.logprobs ?? []));
    last = fields;
  }
  const { final, cut } = last;
  const whole = { text, thinking, logprobs: logprobs.length > 0 ? logprobs : undefined, final };
  return withTruncation(respond(line(run.body.model ?? "", whole, true)), cut);
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
    return respond(line(raw, { final: { done_reason: "unload" } }));
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
    if (!body.prompt) return respond(line(name, { final: { done_reason: "load" } }));
    checkImages(unplanned.lease, unplanned.model, body.images?.length ?? 0);
    const format = await planFormat(body, lease.model, scope.signal);
    const attempt = (lease: Lease) => promptOf({ ...unplanned, lease });
    const roomy = await withRoom(acquisition, unplanned.lease, attempt, isCut);
    const { result: prompt } = roomy;
    const run = { ...unplanned, format, lease: roomy.lease };
    if (body._debug_render_only) {
      const debug = { _debug_info: { rendered_template: prompt.text } };
      return respond(line(name, { final: debug }, false));
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
    goBody("GenerateRequest", GenerateBody),
  );
