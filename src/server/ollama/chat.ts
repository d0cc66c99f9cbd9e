/** `POST /api/chat` (api.md 6). */
import { randomBytes } from "node:crypto";
import { Elysia } from "elysia";
import type { ChatMessage, Conversation, Tool } from "../../chat/messages.ts";
import type { ParsedCall } from "../../chat/output.ts";
import { fitChat } from "../../chat/prompt.ts";
import { InvalidRequestError, ModelRequiredError, UnsupportedError } from "../../errors.ts";
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
import { outputParser, toolTagOf } from "./output.ts";
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
    think,
  };
}

interface Piece {
  readonly content: string;
  readonly thinking: string;
  readonly calls: readonly unknown[];
  readonly logprobs: unknown[] | undefined;
  readonly final?: Record<string, unknown>;
}

function line(model: string, piece: Partial<Piece>, done: boolean): string {
  const { content = "", thinking, calls = [], logprobs, final = {} } = piece;
  const { done_reason, ...rest } = final;
  return JSON.stringify({
    model,
    created_at: utcTime(),
    message: {
      role: "assistant",
      content,
      ...(thinking ? { thinking } : {}),
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    },
    done,
    ...(done_reason === undefined ? {} : { done_reason }),
    ...(logprobs?.length ? { logprobs } : {}),
    ...rest,
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
  readonly conversation: Conversation;
  readonly think: Think | undefined;
  readonly lease: Lease;
  readonly since: number;
}

async function promptText({ deps, body, model, conversation, lease }: Run): Promise<string> {
  const options = { limit: lease.contextLength, truncate: body.truncate ?? true };
  const engine = promptEngine(lease.model);
  return (await fitChat(promptSource(deps, model), conversation, engine, options)).text;
}

async function* answer(run: Run, signal: AbortSignal): AsyncGenerator<Piece> {
  const { deps, body, model, think, lease, since, conversation } = run;
  const text = await promptText(run);
  const parser = outputParser({
    named: model.config.parser,
    think,
    lastMessage: conversation.messages.at(-1),
    thinkTags: think?.on ? tagsOf(deps, model) : undefined,
    prompt: text,
    tools: conversation.tools,
    toolTag: toolTagOf(model.template),
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
      wantContext: false,
    },
    signal,
  );
  let calls = 0;
  for await (const event of events) {
    const last = event.type === "done";
    const output = parser.add(last ? "" : event.text, last);
    const logprobs = last ? undefined : wireLogprobs(event.logprobs, body.top_logprobs);
    const wired = wireCalls(output.calls, calls);
    calls += wired.length;
    const { content, thinking } = output;
    if (content !== "" || thinking !== "" || wired.length > 0 || logprobs !== undefined) {
      yield { content, thinking, calls: wired, logprobs };
    }
    if (last) {
      const final = { done_reason: event.reason, ...metrics(event, since, lease.loadNs) };
      yield { content: "", thinking: "", calls: [], logprobs: undefined, final };
    }
  }
}

async function* streamLines(run: Run, scope: RunScope): AsyncGenerator<string> {
  try {
    for await (const piece of answer(run, scope.signal)) {
      yield line(run.body.model ?? "", piece, piece.final !== undefined);
    }
  } finally {
    scope.end();
  }
}

async function single(run: Run, scope: RunScope): Promise<Response> {
  const whole = { content: "", thinking: "", calls: [] as unknown[], logprobs: [] as unknown[] };
  let final: Record<string, unknown> = {};
  for await (const piece of answer(run, scope.signal)) {
    whole.content += piece.content;
    whole.thinking += piece.thinking;
    whole.calls.push(...piece.calls);
    whole.logprobs.push(...(piece.logprobs ?? []));
    if (piece.final !== undefined) final = piece.final;
  }
  return respond(line(run.body.model ?? "", { ...whole, final }, true));
}

async function chat(deps: ServerDeps, body: ChatBody, request: Request): Promise<Response> {
  const since = performance.now();
  const images = (body.messages ?? []).flatMap((message) => message.images ?? []);
  const { keepAlive, think: asked } = readFields(body, images);
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
  const lease = await acquire(deps, model, resolved, keepAlive, scope);
  scope.hold(lease);
  try {
    if (messages.length === 0) return respond(line(raw, { final: { done_reason: "load" } }, true));
    refuseUnsupported(body);
    const conversation = conversationOf(body, model, think);
    const run = { deps, body, model, conversation, think, lease, since };
    if (body._debug_render_only) return await debugAnswer(run);
    if (body.stream === false) return await single(run, scope);
    return await scope.stream(streamLines(run, scope), errorLine);
  } catch (error) {
    return errorResponse(error, { plain: body.stream !== false });
  } finally {
    if (!scope.streaming) scope.end();
  }
}

/** The prompt instead of an answer, for people who write templates. */
async function debugAnswer(run: Run): Promise<Response> {
  const { body } = run;
  const rendered = await promptText(run);
  return respond(
    JSON.stringify({
      model: body.model,
      created_at: utcTime(),
      message: { role: "", content: "" },
      done: false,
      _debug_info: { rendered_template: rendered },
    }),
  );
}

/** Says plainly what this version does not do yet. */
function refuseUnsupported(body: ChatBody): void {
  if (checkFormat(body.format) !== undefined) {
    throw new UnsupportedError("format: this version cannot constrain answers yet");
  }
  if ((body.messages ?? []).some(({ images }) => (images ?? []).length > 0)) {
    throw new InvalidRequestError(
      "Multimodal data provided, but model does not support multimodal requests.",
    );
  }
}

export const chatRoute = (deps: ServerDeps) =>
  new Elysia({ name: "chat" }).post("/api/chat", ({ body, request }) => chat(deps, body, request), {
    parse: goBody("ChatRequest", ChatBody),
    body: ChatBody,
  });
