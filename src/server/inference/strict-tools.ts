/** Calls of tools under the tools' own schemas, in a request's life. */
import type { ConstraintUse, LoadedModel } from "../../engine/engine.ts";
import { errorMessage, isAbortError } from "../../errors.ts";
import { callGrammar } from "../../schema/calls/grammar.ts";
import type { ServerDeps } from "../deps.ts";
import type { OutputReader } from "./output.ts";

/** Which texts are control tokens of a model: grammars over texts cannot write them, but by number. */
function controlTokens(model: LoadedModel): (text: string) => number | undefined {
  const { specialTokens } = model.info;
  return (text) => specialTokens.find((token) => !token.added && token.text === text)?.id;
}

/**
 * The constraint of an answer that may call tools; undefined where the form of calls is not known, or
 * the engine cannot take the tools' schemas: then calls are free, as they are everywhere else.
 */
export async function strictTools(
  deps: ServerDeps,
  { calls, thinking }: OutputReader,
  model: LoadedModel,
  signal: AbortSignal,
): Promise<ConstraintUse | undefined> {
  if (calls === undefined) return undefined;
  const { syntax, tools } = calls;
  const span =
    thinking === undefined || syntax.inThought
      ? {}
      : { thinking: { ...thinking, close: syntax.thoughtEnd ?? thinking.close } };
  const { tags: texts, atStart, before = "", next = "text" } = syntax;
  const control = controlTokens(model);
  for (const lenient of [false, true]) {
    const text = callGrammar(syntax, tools, { lenient, control });
    if (text === undefined) continue;
    const constraint = { kind: "lark", text } as const;
    try {
      const { level, reason } = await model.check(constraint, [], signal);
      if (level !== "refused") {
        return { ...constraint, tag: { texts, atStart, before, next }, ...span };
      }
      deps.logger.debug("calls are not strict", { lenient, reason: reason?.reason });
    } catch (error) {
      if (isAbortError(error)) throw error;
      deps.logger.warn("calls are not strict", { error: errorMessage(error) });
      return undefined;
    }
  }
  return undefined;
}
