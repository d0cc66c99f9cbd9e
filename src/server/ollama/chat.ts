/** `POST /api/chat` (api.md 6). */
import { randomBytes } from "node:crypto";
import { Elysia } from "elysia";
import type { ChatMessage, Conversation, Tool } from "../../chat/messages.ts";
import type { ParsedCall } from "../../chat/output.ts";
import { ModelRequiredError } from "../../errors.ts";
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
import { acquire, optionsFor, withRoom } from "../inference/load.ts";
import { findModel, referenceOf } from "../inference/lookup.ts";
import { outputReader } from "../inference/output.ts";
import { type BuiltPrompt, chatPrompt, isCut, type Truncation } from "../inference/prompt.ts";
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
import { ChatBody } from "./schemas.ts";
import { type RunScope, respond, runScope } from "./streaming.ts";
import { utcTime } from "./times.ts";

type WireMessage = NonNullable<ChatBody["messages"]>[number];

function messageOf(wire: WireMessage): ChatMessage {
  return {
    role: (wire.role ?? "").toLowerCase(),
    content: wire.content ?? "",
    ...(wire.thinking ? { thinking: wire.thinking } : {}),
    ...(wire.images?.length ? { images: wire.images } : {}),
    ...(wire.tool_calls?.length
      ? {
          toolCalls: wire.tool_calls.map((call, index) => ({
            ...(call.id ? { id: call.id } : {}),
            function: {
              index: call.function?.index ?? index,
              name: call.function?.name ?? "",
              arguments: (call.function?.arguments ?? {}) as Record<string, unknown>,
            },
          })),
        }
      : {}),
    ...(wire.tool_name ? { toolName: wire.tool_name } : {}),
    ...(wire.tool_call_id ? { toolCallId: wire.tool_call_id } : {}),
  };
}

/** The model's own messages and system, then the request's (api.md 6). */
function conversationOf(
  body: ChatBody,
  model: StoredModel,
  think: Think | undefined,
): Conversation {
  const asked = (body.messages ?? []).map(messageOf);
  const system =
    model.system !== "" && asked[0]?.role !== "system"
      ? [{ role: "system", content: model.system }]
      : [];
  return {
    messages: [...system, ...model.messages, ...asked],
    tools: (body.tools ?? []) as unknown as Tool[],
    toolsSent: Array.isArray(body.tools),
    think,
  };
}

/** What of an object differs from line to line. */
interface LineFields {
  readonly content?: string;
  readonly thinking?: string;
  readonly calls?: readonly unknown[];
  readonly logprobs?: readonly unknown[] | undefined;
  /** Of the last object. */
  readonly final?: Readonly<Record<string, unknown>> | undefined;
  /** Of the last object: what the whole answer left out. */
  readonly cut?: Truncation | undefined;
}

/** One object of an answer, in Ollama's order of keys; members that are undefined are left out. */
function line(model: string, fields: LineFields, done: boolean): string {
  const { content = "", thinking, calls = [], logprobs, final } = fields;
  return JSON.stringify({
    model,
    created_at: utcTime(),
    message: {
      role: "assistant",
      content,
      thinking: thinking || undefined,
      tool_calls: calls.length > 0 ? calls : undefined,
    },
    done,
    done_reason: final?.done_reason,
    logprobs: logprobs?.length ? logprobs : undefined,
    ...final,
  });
}

const idLetters = "abcdefghijklmnopqrstuvwxyz0123456789";

/** `call_` and eight letters or digits (api.md 7.2). */
function callId(): string {
  return `call_${Array.from(randomBytes(8), (byte) => idLetters[byte % 36]).join("")}`;
}

function wireCalls(calls: readonly ParsedCall[], first: number): unknown[] {
  return calls.map(({ name, arguments: values }, i) => ({
    id: callId(),
    function: { index: first + i, name, arguments: values },
  }));
}

interface Run {
  readonly deps: ServerDeps;
  readonly body: ChatBody;
  readonly model: StoredModel;
  readonly resolved: ResolvedOptions;
  readonly conversation: Conversation;
  readonly lease: Lease;
  readonly prompt: BuiltPrompt;
  /** `performance.now()` when the request came. */
  readonly since: number;
  readonly extras: boolean;
  readonly format: FormatPlan | undefined;
}

/**
 * The answer as objects; a step that yields nothing makes none.
 * @param attempt counts tries of an answer that broke its form
 */
async function begin(
  run: Run,
  signal: AbortSignal,
  attempt = 0,
): Promise<Answering<LineFields | undefined>> {
  const { deps, body, model, conversation, lease, prompt, format } = run;
  const resolved = optionsOfTry(run.resolved, attempt);
  const reader = outputReader(model, deps.config.goTemplate, {
    raw: false,
    think: conversation.think,
    tools: conversation.tools,
    lastMessage: conversation.messages.at(-1),
    prompt: prompt.text,
  });
  const logprobs = logprobsOf(body.logprobs, body.top_logprobs);
  const shift = body.shift ?? true;
  const wanted = { lease, resolved, prompt, shift, logprobs, wantContext: false, format };
  const answer = await beginAnswer(deps, wanted, reader, signal);
  let called = 0;
  const fieldsOf = ({ content, thinking, calls, logprobs }: AnswerPiece): LineFields => {
    const wired = wireCalls(calls, called);
    called += wired.length;
    return { content, thinking, calls: wired, logprobs: wireLogprobs(logprobs, body.top_logprobs) };
  };
  return {
    events: answer.events,
    text(event) {
      const fields = fieldsOf(answer.text(event));
      const { content, thinking, calls = [], logprobs } = fields;
      return content || thinking || calls.length > 0 || logprobs ? fields : undefined;
    },
    async end(event) {
      const piece = await answer.end(event);
      return { ...fieldsOf(piece), ...ending(run, event, piece.broken) };
    },
  };
}

function ending(
  run: Run,
  done: Done,
  broken: string | undefined,
): Pick<LineFields, "final" | "cut"> {
  const cut = wholeTruncation(run.prompt.truncated, done);
  const final = {
    done_reason: done.reason,
    ...metrics(done, run.since, run.lease.loadNs),
    ...(run.extras ? extraFields(cut, done) : undefined),
    ...formatFields(run.format, broken, run.extras),
  };
  return { final, cut };
}

async function* streamLines(run: Run, { signal }: RunScope): AsyncGenerator<string> {
  const objects = await begin(run, signal);
  for await (const event of objects.events) {
    const last = event.type === "done";
    const fields = last ? await objects.end(event) : objects.text(event);
    if (fields !== undefined) yield line(run.body.model ?? "", fields, last);
  }
}

async function single(run: Run, scope: RunScope, attempt: number): Promise<Response> {
  const whole = { content: "", thinking: "", calls: [] as unknown[], logprobs: [] as unknown[] };
  let last: LineFields = {};
  const objects = await begin(run, scope.signal, attempt);
  for await (const event of objects.events) {
    const fields = event.type === "done" ? await objects.end(event) : objects.text(event);
    if (fields === undefined) continue;
    whole.content += fields.content ?? "";
    whole.thinking += fields.thinking ?? "";
    whole.calls.push(...(fields.calls ?? []));
    whole.logprobs.push(...(fields.logprobs ?? []));
    last = fields;
  }
  const { final, cut } = last;
  return withTruncation(respond(line(run.body.model ?? "", { ...whole, final }, true)), cut);
}

async function chat(deps: ServerDeps, body: ChatBody, request: Request): Promise<Response> {
  const since = performance.now();
  const images = (body.messages ?? []).flatMap((message) => message.images ?? []);
  const { keepAlive, think: asked } = readFields(body);
  checkTopLogprobs(body.top_logprobs);
  const raw = body.model ?? "";
  if (raw.trim() === "") throw new ModelRequiredError();
  const model = await findModel(deps, referenceOf(raw), () => `model '${raw}' not found`);
  const messages = body.messages ?? [];
  if (messages.length === 0 && keepAlive === 0n) {
    if (model.ggufPath !== undefined) deps.scheduler.expire(model.ggufPath);
    return respond(line(raw, { final: { done_reason: "unload" } }, true));
  }
  const tools = (body.tools ?? []).length > 0;
  const wishes = { chat: true, raw, tools, suffix: false, think: asked };
  const think = checkCapabilities(deps, model, wishes);
  const resolved = optionsFor(deps, model, body.options);
  const scope = runScope(request);
  const acquisition = { deps, model, resolved, keepAlive, scope };
  const held = await acquire(acquisition);
  try {
    if (messages.length === 0) return respond(line(raw, { final: { done_reason: "load" } }, true));
    checkImages(held, model, images.length);
    const format = await planFormat(body, held.model, scope.signal);
    const conversation = conversationOf(body, model, think);
    const limits = {
      truncate: body.truncate ?? true,
      shift: body.shift ?? true,
      keep: resolved.options.num_keep,
    };
    const { lease, result: prompt } = await withRoom(
      acquisition,
      held,
      (lease) => chatPrompt({ deps, model, lease, limits }, conversation),
      isCut,
    );
    if (body._debug_render_only) return debugAnswer(raw, prompt);
    const extras = wantsExtras(request, deps.config.extras);
    const common = { deps, body, model, resolved, conversation, lease };
    const run = { ...common, prompt, since, extras, format };
    const response =
      body.stream === false
        ? await retrying(deps.config.formatRetries, (attempt) => single(run, scope, attempt))
        : withTruncation(await scope.stream(streamLines(run, scope), errorLine), prompt.truncated);
    return withFormatLevel(response, format);
  } catch (error) {
    return errorResponse(scope.reason(error), { plain: body.stream !== false });
  } finally {
    if (!scope.streaming) scope.end();
  }
}

/** The prompt instead of an answer, for people who write templates. */
function debugAnswer(model: string, prompt: BuiltPrompt): Response {
  return respond(
    JSON.stringify({
      model,
      created_at: utcTime(),
      message: { role: "", content: "" },
      done: false,
      _debug_info: { rendered_template: prompt.text },
    }),
  );
}

export const chatRoute = (deps: ServerDeps) =>
  new Elysia({ name: "chat" }).post(
    "/api/chat",
    ({ body, request }) => chat(deps, body, request),
    goBody("ChatRequest", ChatBody),
  );
