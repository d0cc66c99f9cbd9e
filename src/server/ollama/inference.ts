/** What generate and chat have in common: checks, options, the lease, the run (api.md 3, 4, 7). */

import { cutMiddle, type PromptEngine, type PromptSource } from "../../chat/prompt.ts";
import type { ThinkTags } from "../../chat/thinking.ts";
import type {
  GenerateEvent,
  GenerateRequest,
  LoadedModel,
  PromptPart,
  Sampling,
  TokenLogprob,
} from "../../engine/engine.ts";
import {
  CapabilityError,
  ContextOverflowError,
  InvalidRequestError,
  OptionError,
  OutOfMemoryError,
} from "../../errors.ts";
import { capabilitiesOf, chooseTemplate, thinkTags } from "../../model/capabilities.ts";
import { checkGguf } from "../../model/gguf/facts.ts";
import type { StoredModel } from "../../model/model.ts";
import { fullName } from "../../model/name.ts";
import { type ResolvedOptions, resolveOptions } from "../../model/options.ts";
import { parseThink, type Think } from "../../model/think.ts";
import { parseKeepAlive } from "../../scheduler/keep-alive.ts";
import type { Lease } from "../../scheduler/scheduler.ts";
import type { ServerDeps } from "../deps.ts";
import { generationMeter } from "../operations/metrics.ts";
import { decodeBase64 } from "./go-body.ts";
import { wantedLoad } from "./load-spec.ts";
import type { RunScope } from "./streaming.ts";

/** Fields with a reader of their own; what is wrong with them is a fault of the body (api.md 1.2). */
export interface Fields {
  /** Nanoseconds; undefined = the last value stays. */
  readonly keepAlive: bigint | undefined;
  readonly think: Think | undefined;
}

/** @throws InvalidRequestError */
export function readFields(
  body: { readonly keep_alive?: unknown; readonly think?: unknown },
  images: readonly string[] = [],
): Fields {
  const fields = { keepAlive: parseKeepAlive(body.keep_alive), think: parseThink(body.think) };
  for (const image of images) decodeBase64(image);
  return fields;
}

/** @throws InvalidRequestError */
export function checkTopLogprobs(top: number | undefined): void {
  if (top !== undefined && (top < 0 || top > 20)) {
    throw new InvalidRequestError("top_logprobs must be between 0 and 20");
  }
}

/** Whether the request carries a constraint; "" and null are none. @throws a 500, as Ollama does */
export function checkFormat(format: unknown): "json" | Record<string, unknown> | undefined {
  if (format === undefined || format === null || format === "") return undefined;
  if (format === "json") return format;
  if (typeof format === "object" && !Array.isArray(format)) {
    return format as Record<string, unknown>;
  }
  throw new OptionError(
    `invalid format: ${JSON.stringify(JSON.stringify(format))}; expected "json" or a valid JSON Schema object`,
  );
}

/** Blobs whose head was checked, by path and size: once per file is enough. */
const checked = new Set<string>();

/** Loads the model for a request and holds it. @throws GgufError, the scheduler's errors */
export function acquire(
  deps: ServerDeps,
  model: StoredModel,
  resolved: ResolvedOptions,
  keepAlive: bigint | undefined,
  { signal, terms }: Pick<RunScope, "signal" | "terms">,
): Promise<Lease> {
  const { spec, explicit } = wantedLoad(model, resolved, deps.config);
  const key = `${spec.path} ${Bun.file(spec.path).size}`;
  if (!checked.has(key)) {
    checkGguf(spec.path);
    checked.add(key);
  }
  const { shortName: name, digest } = model;
  return deps.scheduler.acquire({ name, digest, load: spec, explicit, keepAlive, terms }, signal);
}

/** Options of a request over the model's; unknown ones are logged. @throws OptionError */
export function optionsFor(
  deps: ServerDeps,
  model: StoredModel,
  request: Readonly<Record<string, unknown>> | undefined,
): ResolvedOptions {
  const resolved = resolveOptions(model.parameters, request);
  for (const option of resolved.unknown) {
    deps.logger.warn("invalid option provided", { option });
  }
  return resolved;
}

export interface Wishes {
  readonly chat: boolean;
  /** As the request spelled the model. */
  readonly raw: string;
  readonly tools: boolean;
  readonly suffix: boolean;
  readonly think: Think | undefined;
}

/**
 * Capabilities against what a request wants, and its thinking (api.md 2.3, 7.1).
 * @throws CapabilityError, InvalidRequestError
 */
export function checkCapabilities(
  deps: ServerDeps,
  model: StoredModel,
  wishes: Wishes,
): Think | undefined {
  const can = new Set(capabilitiesOf(model, deps.config.goTemplate));
  const quoted = JSON.stringify(wishes.raw);
  const asked = wishes.think;
  if (can.has("image")) {
    throw new CapabilityError("image generation models are not currently supported");
  }
  if (asked?.on && !can.has("thinking")) {
    throw new CapabilityError(`${quoted} does not support thinking`);
  }
  if (!can.has("completion")) {
    throw new CapabilityError(`${quoted} does not support ${wishes.chat ? "chat" : "generate"}`);
  }
  const missing: string[] = [];
  if (wishes.tools && !can.has("tools")) missing.push("tools");
  if (wishes.suffix && !can.has("insert")) missing.push("insert");
  if (missing.length > 0) {
    const full = fullName(model.name);
    throw new CapabilityError(missing.map((what) => `${full} does not support ${what}`).join("\n"));
  }
  // Thinking is on by default for models that can.
  return asked ?? (can.has("thinking") ? { on: true, level: "medium" } : undefined);
}

export function promptSource(deps: ServerDeps, model: StoredModel): PromptSource {
  const { config, template } = model;
  return {
    choice: chooseTemplate(model, deps.config.goTemplate),
    goTemplate: template,
    renderer: config.renderer,
    stripsThinking: config.model_family === "qwen3" || model.name.model === "deepseek-r1",
  };
}

/** Tags between which a model's template puts thinking; undefined when it has none. */
export function tagsOf(deps: ServerDeps, model: StoredModel): ThinkTags | undefined {
  const choice = chooseTemplate(model, deps.config.goTemplate);
  const found = choice === "go" && model.template ? thinkTags(model.template) : undefined;
  if (found !== undefined) return { open: found.open, close: found.close };
  const jinja = model.gguf?.facts.chatTemplate ?? "";
  const plain = { open: "<think>", close: "</think>" };
  return choice === "jinja" && jinja.includes(plain.open) && jinja.includes(plain.close)
    ? plain
    : undefined;
}

export function promptEngine(model: LoadedModel): PromptEngine {
  return {
    applyTemplate: (request) => model.applyTemplate(request),
    countTokens: async (text) =>
      (await model.tokenize(text, { addSpecial: true, parseSpecial: true })).length,
  };
}

export function samplingOf({ options }: ResolvedOptions): Sampling {
  const seed =
    options.seed < 0
      ? Math.floor(Math.random() * 2 ** 32)
      : Number(BigInt(Math.trunc(options.seed)) & 0xffff_ffffn);
  return {
    seed,
    temperature: options.temperature,
    topK: options.top_k,
    topP: options.top_p,
    minP: options.min_p,
    typicalP: options.typical_p,
    repeatLastN: options.repeat_last_n,
    repeatPenalty: options.repeat_penalty,
    presencePenalty: options.presence_penalty,
    frequencyPenalty: options.frequency_penalty,
    mirostat: options.mirostat === 1 || options.mirostat === 2 ? options.mirostat : 0,
    mirostatTau: options.mirostat_tau,
    mirostatEta: options.mirostat_eta,
  };
}

export interface RunRequest {
  readonly lease: Lease;
  readonly resolved: ResolvedOptions;
  readonly text: string;
  readonly truncate: boolean;
  readonly shift: boolean;
  readonly logprobs: number | undefined;
  readonly wantContext: boolean;
}

/** The prompt as it goes to the engine, its middle cut when it still does not fit (api.md 7.5). */
async function fittedPrompt(
  request: RunRequest,
): Promise<{ parts: PromptPart[]; addSpecial: boolean }> {
  const { lease, resolved, text, truncate, shift } = request;
  const { contextLength, model } = lease;
  const whole = { parts: [{ text, parseSpecial: true }], addSpecial: true };
  // A text has at most as many tokens as bytes, and BOS.
  if (text.length * 3 + 1 < contextLength) return whole;
  const tokens = await model.tokenize(text, { addSpecial: true, parseSpecial: true });
  if (tokens.length <= contextLength - 1) return whole;
  if (!truncate) {
    throw new ContextOverflowError(
      "the input length exceeds the context length",
      tokens.length,
      contextLength,
    );
  }
  const keep = resolved.options.num_keep < 0 ? tokens.length : resolved.options.num_keep;
  const kept = cutMiddle(tokens, {
    contextLength,
    keep: keep + (model.info.addsBos ? 1 : 0),
    shift,
  });
  return { parts: [{ tokens: kept }], addSpecial: false };
}

/** Memory that ran out in a run is not told from memory that others hold: they all go (scheduler.md 10). */
function expireAll({ scheduler }: ServerDeps): void {
  for (const { path } of scheduler.running()) scheduler.expire(path);
}

/** Runs a prompt. @throws the engine's errors, ContextOverflowError */
export async function* runPrompt(
  deps: ServerDeps,
  request: RunRequest,
  signal: AbortSignal,
): AsyncGenerator<GenerateEvent> {
  const { lease, resolved } = request;
  const { options } = resolved;
  const { parts, addSpecial } = await fittedPrompt(request);
  // Open ends are bounded, so that no request runs for ever.
  const most = 10 * lease.contextLength;
  const wish = options.num_predict;
  const generate: GenerateRequest = {
    prompt: parts,
    addSpecial,
    sampling: samplingOf(resolved),
    stop: (options.stop ?? []).filter((stop) => stop !== ""),
    maxTokens: wish > 0 ? Math.min(wish, most) : most,
    shift: request.shift,
    keep: options.num_keep,
    ...(request.logprobs === undefined ? {} : { logprobs: request.logprobs }),
    wantContext: request.wantContext,
  };
  const meter = generationMeter(deps.metrics, lease.name);
  using _turn = await lease.turn(signal);
  try {
    for await (const event of lease.model.generate(generate, signal)) {
      meter(event);
      yield event;
    }
  } catch (error) {
    if (error instanceof OutOfMemoryError) expireAll(deps);
    throw error;
  }
}

/** `logprobs` for the engine: undefined = none. */
export function logprobsOf(
  wanted: boolean | undefined,
  top: number | undefined,
): number | undefined {
  return wanted ? (top ?? 0) : undefined;
}

/** Metrics of the final object, zero ones left out, in Ollama's order (api.md 5). */
export function metrics(
  done: Extract<GenerateEvent, { type: "done" }>,
  since: number,
  loadNs: number,
): Record<string, number> {
  const all = {
    total_duration: Math.max(1, Math.round((performance.now() - since) * 1e6)),
    load_duration: loadNs,
    prompt_eval_count: done.promptTokens,
    prompt_eval_duration: done.promptNs,
    eval_count: done.evalTokens,
    eval_duration: done.evalNs,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value > 0));
}

/** One token's probability on the wire; control tokens have no bytes to show. */
function wireLogprob({ token, logprob, bytes }: TokenLogprob): Record<string, unknown> {
  return { token, logprob, ...(bytes.length > 0 ? { bytes } : {}) };
}

/** Log probabilities on the wire: `top_logprobs` only when asked for (api.md 7.4). */
export function wireLogprobs(
  logprobs: Extract<GenerateEvent, { type: "text" }>["logprobs"],
  top: number | undefined,
): unknown[] | undefined {
  return logprobs?.map((own) => ({
    ...wireLogprob(own),
    ...(top ? { top_logprobs: own.top.map(wireLogprob) } : {}),
  }));
}
