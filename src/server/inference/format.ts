/**
 * The wanted form of an answer in a request's life: refused before anything runs, handed to the engine,
 * judged when the text is whole. No final object goes out with a text that breaks its form, but for
 * one that the length limit cut, which says so.
 */
import type { ConstraintUse, LoadedModel } from "../../engine/engine.ts";
import { FormatError } from "../../errors.ts";
import type { ResolvedOptions } from "../../model/options.ts";
import { constrainedPart, type ThinkingSpan } from "../../schema/thinking.ts";
import { demandLevel, fault } from "../../schema/verdict.ts";
import { type FormatFields, type FormatWish, formatWish } from "../../schema/wish.ts";

export interface FormatPlan {
  readonly wish: FormatWish;
  readonly level: "enforced" | "validated" | "refused";
}

/**
 * What a request wants, once it is known that the model can keep to it.
 * @throws OptionError, InvalidRequestError, FormatRefusedError
 */
export async function planFormat(
  fields: FormatFields,
  model: LoadedModel,
  signal: AbortSignal,
): Promise<FormatPlan | undefined> {
  const wish = formatWish(fields);
  if (wish === undefined) return undefined;
  const report = await model.check(wish.constraint, [], signal);
  demandLevel(wish, report);
  return { wish, level: report.level };
}

/** Follows one answer's text. */
export class FormatJudge {
  readonly #plan: FormatPlan;
  readonly #model: LoadedModel;
  readonly #thinking: ThinkingSpan | undefined;
  #text = "";

  /** Undefined where any text will do. */
  static of(
    plan: FormatPlan | undefined,
    model: LoadedModel,
    thinking: ThinkingSpan | undefined,
  ): FormatJudge | undefined {
    return plan === undefined ? undefined : new FormatJudge(plan, model, thinking);
  }

  /** @param thinking what the model writes before its answer */
  constructor(plan: FormatPlan, model: LoadedModel, thinking: ThinkingSpan | undefined) {
    this.#plan = plan;
    this.#model = model;
    this.#thinking = thinking;
  }

  /** For the engine. */
  get use(): ConstraintUse {
    const { constraint } = this.#plan.wish;
    return this.#thinking === undefined ? constraint : { ...constraint, thinking: this.#thinking };
  }

  /** Takes text as the model wrote it. */
  add(text: string): void {
    this.#text += text;
  }

  /**
   * What is wrong with the text, undefined when it keeps to its form.
   * @throws FormatError when the answer ended by itself and breaks its form
   */
  async end(reason: string, signal: AbortSignal): Promise<string | undefined> {
    const { wish } = this.#plan;
    const text = constrainedPart(this.#text, this.#thinking);
    const wrong = fault(await this.#model.check(wish.constraint, [text], signal));
    if (wrong !== undefined && reason !== "length") {
      throw new FormatError(`the answer does not keep to its ${wish.field}: ${wrong}`);
    }
    return wrong;
  }
}

/** A greedy answer would come out the same again, so that further tries sample. */
const retryTemperature = 0.8;

/** The options of a further try: another seed. */
export function optionsOfTry(resolved: ResolvedOptions, attempt: number): ResolvedOptions {
  if (attempt === 0) return resolved;
  const { options } = resolved;
  return {
    ...resolved,
    options: {
      ...options,
      seed: options.seed < 0 ? options.seed : options.seed + attempt,
      temperature: options.temperature > 0 ? options.temperature : retryTemperature,
    },
  };
}

/** Runs an answer without streaming, and again when it broke its form. @throws FormatError of the last try */
export async function retrying<T>(
  retries: number,
  answer: (attempt: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await answer(attempt);
    } catch (error) {
      if (!(error instanceof FormatError) || attempt >= retries) throw error;
    }
  }
}
