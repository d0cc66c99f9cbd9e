/** Figures and probabilities of an answer as Ollama's API writes them (api.md 5, 7.4). */
import type { TokenLogprob } from "../../engine/engine.ts";
import type { Done, Logprobs } from "../inference/answer.ts";
import type { FormatPlan } from "../inference/format.ts";
import type { Truncation } from "../inference/prompt.ts";

/** Metrics of the final object, zero ones left out, in Ollama's order (api.md 5). */
export function metrics(
  { promptTokens, promptNs, evalTokens, evalNs }: Done,
  since: number,
  loadNs: number,
): Record<string, number | undefined> {
  return {
    total_duration: Math.max(1, Math.round((performance.now() - since) * 1e6)),
    load_duration: loadNs || undefined,
    prompt_eval_count: promptTokens || undefined,
    prompt_eval_duration: promptNs || undefined,
    eval_count: evalTokens || undefined,
    eval_duration: evalNs || undefined,
  };
}

/** One token's probability on the wire; control tokens have no bytes to show. */
function wireLogprob({ token, logprob, bytes }: TokenLogprob): Record<string, unknown> {
  return { token, logprob, ...(bytes.length > 0 ? { bytes } : {}) };
}

/** Log probabilities on the wire: `top_logprobs` only when asked for (api.md 7.4). */
export function wireLogprobs(
  logprobs: Logprobs | undefined,
  top: number | undefined,
): unknown[] | undefined {
  return logprobs?.map((own) => ({
    ...wireLogprob(own),
    ...(top ? { top_logprobs: own.top.map(wireLogprob) } : {}),
  }));
}

/** `logprobs` for the engine: undefined = none. */
export function logprobsOf(
  wanted: boolean | undefined,
  top: number | undefined,
): number | undefined {
  return wanted ? (top ?? 0) : undefined;
}

/** Whether a request asks for the fields that Ollama does not have (docs/additions.md). */
export function wantsExtras(request: Request, always: boolean): boolean {
  return always || /^(1|true)$/i.test(request.headers.get("x-hutch-extras") ?? "");
}

/** Whether the last line of a stream that an error ends shall tell the error's code. */
export function wantsErrorCodes(request: Request): boolean {
  return /^(1|true|errors)$/i.test(request.headers.get("x-hutch-extras") ?? "");
}

/** What a finished answer left out: of its prompt, and what it pushed out of a full context. */
export function wholeTruncation({ messages, tokens }: Truncation, done: Done): Truncation {
  return { messages, tokens: tokens + done.shiftedTokens };
}

/** The additional fields of a final object; those that are zero are left out. @param cut of the whole answer */
export function extraFields(cut: Truncation, done: Done): Record<string, unknown> {
  const { tokens: guesses, accepted } = done.drafted ?? { tokens: 0, accepted: 0 };
  return {
    ...(done.cachedTokens > 0 ? { prompt_cached_count: done.cachedTokens } : {}),
    ...(guesses > 0 ? { draft_count: guesses, draft_accepted_count: accepted } : {}),
    ...(cut.messages > 0 || cut.tokens > 0 ? { truncated: cut } : {}),
  };
}

/** Says in a header what was left out, as far as it is known when the answer begins: nothing is cut in silence. */
export function withTruncation(response: Response, cut: Truncation | undefined): Response {
  const { messages, tokens } = cut ?? { messages: 0, tokens: 0 };
  if (messages > 0 || tokens > 0) {
    response.headers.set("x-hutch-truncated", `messages=${messages}, tokens=${tokens}`);
  }
  return response;
}

/** Fields of a final object about the answer's form, for clients that ask for more than Ollama's. */
export function formatFields(
  plan: FormatPlan | undefined,
  broken: string | undefined,
  extras: boolean,
): Record<string, unknown> {
  if (plan === undefined || !(extras || plan.wish.tellsMore)) return {};
  return { ...(broken === undefined ? {} : { format_error: broken }), format_level: plan.level };
}

/** Says in a header how far the form of an answer is kept. */
export function withFormatLevel(response: Response, plan: FormatPlan | undefined): Response {
  if (plan !== undefined) response.headers.set("x-hutch-format-level", plan.level);
  return response;
}
