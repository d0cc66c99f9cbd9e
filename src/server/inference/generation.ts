/** Runs a prompt on a loaded model, with the sampling that the options ask for (api.md 4, 7.5). */
import type {
  ConstraintUse,
  DraftWish,
  GenerateEvent,
  GenerateRequest,
  Sampling,
} from "../../engine/engine.ts";
import { NotBegunError, OutOfMemoryError } from "../../errors.ts";
import type { LogFields } from "../../logger.ts";
import type { ResolvedOptions } from "../../model/options.ts";
import type { Lease } from "../../scheduler/scheduler.ts";
import type { ServerDeps } from "../deps.ts";
import { generationMeter } from "../operations/metrics.ts";
import { milliseconds, noteFor } from "../operations/records.ts";
import { deadlinesOf } from "./deadlines.ts";
import type { BuiltPrompt } from "./prompt.ts";

/** Options are float32 and may be infinite, as in Ollama; messages to the engine hold numbers. */
const largestFloat = (2 - 2 ** -23) * 2 ** 127;
const finite = (value: number) => Math.max(-largestFloat, Math.min(largestFloat, value));

function samplingOf({ options }: ResolvedOptions): Sampling {
  const seed =
    options.seed < 0
      ? Math.floor(Math.random() * 2 ** 32)
      : Number(BigInt(Math.trunc(options.seed)) & 0xffff_ffffn);
  return {
    seed,
    temperature: finite(options.temperature),
    topK: options.top_k,
    topP: finite(options.top_p),
    minP: finite(options.min_p),
    typicalP: finite(options.typical_p),
    repeatLastN: options.repeat_last_n,
    repeatPenalty: finite(options.repeat_penalty),
    presencePenalty: finite(options.presence_penalty),
    frequencyPenalty: finite(options.frequency_penalty),
    mirostat: options.mirostat === 1 || options.mirostat === 2 ? options.mirostat : 0,
    mirostatTau: finite(options.mirostat_tau),
    mirostatEta: finite(options.mirostat_eta),
  };
}

/** Guesses of a step by n-grams, at most; the draft model's number is an option. */
const ngramGuesses = 31;

/**
 * How a request's tokens are guessed ahead: as its options say, else by the draft model where one is
 * loaded. Undefined where they are not, or cannot be, which is logged when it was asked for.
 */
function draftWish(
  { logger }: ServerDeps,
  { options, given }: ResolvedOptions,
  { name, model }: Lease,
): DraftWish | undefined {
  const { drafts = [] } = model.info;
  const kind = options.draft ?? (drafts.includes("model") ? "model" : "none");
  if (kind === "none") return undefined;
  if (!drafts.includes(kind)) {
    logger.warn("the model cannot draft so: answers come without", { name, draft: kind });
    return undefined;
  }
  const own = kind === "model" || given.has("draft_num_predict");
  const most = own ? options.draft_num_predict : ngramGuesses;
  return most > 0 ? { kind, most } : undefined;
}

export interface RunRequest {
  readonly lease: Lease;
  readonly resolved: ResolvedOptions;
  readonly prompt: BuiltPrompt;
  /** Special tokens that are shown. */
  readonly visible: readonly string[];
  readonly shift: boolean;
  /** Undefined = none, n = of each token and its n likeliest. */
  readonly logprobs: number | undefined;
  readonly wantContext: boolean;
  readonly constraint: ConstraintUse | undefined;
}

/** What the log tells of a finished run. */
function timingsOf(done: Extract<GenerateEvent, { type: "done" }>): LogFields {
  return {
    prompt_tokens: done.promptTokens,
    cached_tokens: done.cachedTokens,
    prompt_ms: milliseconds(done.promptNs),
    tokens: done.evalTokens,
    eval_ms: milliseconds(done.evalNs),
  };
}

/** Memory that ran out in a run is not told from memory that others hold: they all go (scheduler.md 10). */
function expireAll({ scheduler }: ServerDeps): void {
  for (const { path } of scheduler.running()) scheduler.expire(path);
}

/** What the engine is asked. */
function engineRequest(deps: ServerDeps, request: RunRequest): GenerateRequest {
  const { lease, resolved, prompt } = request;
  const { options } = resolved;
  // Open ends are bounded, so that no request runs for ever.
  const most = 10 * lease.contextLength;
  const wish = options.num_predict;
  const draft = draftWish(deps, resolved, lease);
  return {
    prompt: prompt.parts,
    addSpecial: prompt.addSpecial,
    sampling: samplingOf(resolved),
    stop: (options.stop ?? []).filter((stop) => stop !== ""),
    visible: request.visible,
    maxTokens: wish > 0 ? Math.min(wish, most) : most,
    shift: request.shift,
    keep: options.num_keep,
    ...(request.logprobs === undefined ? {} : { logprobs: request.logprobs }),
    ...(request.constraint === undefined ? {} : { constraint: request.constraint }),
    wantContext: request.wantContext,
    ...(draft === undefined ? {} : { draft }),
  };
}

/** A process that dies again and again before it begins with a request is not asked for ever. */
const mostTries = 4;

/** Runs a prompt, anew when the model's process ended before it had begun. @throws the engine's errors */
export async function* runPrompt(
  deps: ServerDeps,
  request: RunRequest,
  signal: AbortSignal,
): AsyncGenerator<GenerateEvent> {
  const { lease } = request;
  const generate = engineRequest(deps, request);
  const meter = generationMeter(deps.metrics, lease.name);
  const deadlines = deadlinesOf(signal);
  for (let tries = 1; ; tries++) {
    using _turn = await deadlines.during("queue", () => lease.turn("text", signal));
    try {
      deadlines.enter("firstToken");
      for await (const event of lease.model.generate(generate, signal)) {
        // What the reader takes its time for is no wait for the model.
        deadlines.leave();
        meter(event);
        if (event.type === "done") noteFor(signal, timingsOf(event));
        if (event.type === "done" && event.shiftedTokens > 0) {
          // A stream has no header for it any more.
          const fields = { model: lease.name, tokens: event.shiftedTokens };
          deps.logger.warn("the context was full: the answer pushed out what came first", fields);
        }
        yield event;
        deadlines.enter("token");
      }
      return;
    } catch (error) {
      if (error instanceof NotBegunError && tries < mostTries) continue;
      if (error instanceof OutOfMemoryError) expireAll(deps);
      throw deadlines.expired ?? error;
    } finally {
      deadlines.leave();
    }
  }
}
