/**
 * From sampled rows to the events of answers: text, log probabilities, what a constraint forces, the
 * end. The events of a step are collected and sent together.
 */
import type { NativeModel, SampledRow } from "../../../ffi/native.ts";
import { EngineError } from "../../errors.ts";
import type { GenerateEvent, TextPart, TokenLogprob } from "../engine.ts";
import { follow } from "./draft.ts";
import type { Cut } from "./intake.ts";
import type { Active, Slot } from "./slot.ts";
import { listOf } from "./text-threads.ts";

type LogprobsOf = NonNullable<Extract<GenerateEvent, { type: "text" }>["logprobs"]>;

/** Log probability of a token that cannot come. */
const leastLogprob = -9999;

/** A row of the last step whose logits are to be sampled. */
export interface DueRow {
  readonly row: number;
  readonly slot: Slot;
  readonly active: Active;
  /** Tokens of the rows that follow it, guessed to come; their logits are there too. */
  readonly guesses?: readonly number[];
}

export interface AnswersOptions {
  readonly promptTokens: (prompt: readonly TextPart[], addSpecial: boolean) => Cut;
  /** A request has ended: its slot is free. */
  readonly release: (slot: Slot) => void;
  /** The last `count` tokens that a slot's sequence holds were guessed wrong. */
  readonly forget: (slot: Slot, count: number) => void;
  /** A request has failed. */
  readonly fail: (slot: Slot, error: unknown) => void;
  /** Something was said between the steps. */
  readonly said: () => void;
  /** A request that has left its slot has failed. */
  readonly failed: (id: number, error: unknown) => void;
}

export class Answers {
  readonly #model: NativeModel;
  readonly #options: AnswersOptions;
  #events: [number, GenerateEvent][] = [];

  constructor(model: NativeModel, options: AnswersOptions) {
    this.#model = model;
    this.#options = options;
  }

  /** What was said since the last call. */
  flush(): [number, GenerateEvent][] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }

  /** Samples rows and takes what comes of them. */
  harvest(all: readonly DueRow[]): void {
    const due = all.filter(({ slot, active }) => {
      if (active.evalTokens === 0) active.evalSince = performance.now();
      return !this.#forceFirst(slot, active);
    });
    if (due.length === 0) return;
    const rows = this.#model.sample(
      due.map(({ row, active }) => ({ row, sampler: active.sampler })),
    );
    due.forEach((one, i) => {
      const sampled = rows[i];
      if (sampled === undefined) return;
      const { row, slot, active, guesses } = one;
      try {
        this.#take(slot, active, row, this.#resampled(active, row, sampled));
        if (guesses !== undefined) this.#follow(one, guesses);
      } catch (error) {
        this.#options.fail(slot, error);
      }
    });
  }

  /** Takes the guesses that come true, and forgets the others. @throws EngineError */
  #follow({ row, slot, active }: DueRow, guesses: readonly number[]): void {
    const right = follow(slot, active, guesses, (n) => {
      const [sampled] = this.#model.sample([{ row: row + n, sampler: active.sampler }]);
      if (sampled === undefined) throw new EngineError("a guess was not judged");
      this.#take(slot, active, row + n, this.#resampled(active, row + n, sampled));
    });
    if (right < guesses.length) this.#options.forget(slot, guesses.length - right);
  }

  /** Ends an answer with its last event. */
  finish(slot: Slot, active: Active, reason: "stop" | "length"): void {
    // An answer cut by its length may be in the middle of a stop text: that part is not shown.
    const rest = reason === "stop" ? active.assembler.end() : "";
    if (rest !== "") {
      this.#events.push([active.id, { type: "text", text: rest }]);
      active.output += rest;
    }
    const context = active.request.wantContext ? this.#context(active) : undefined;
    const done = active.done(reason);
    const end = (tokens: Int32Array) =>
      this.#events.push([active.id, { ...done, context: listOf(tokens) }]);
    if (context === undefined) this.#events.push([active.id, done]);
    else if (context instanceof Int32Array) end(context);
    else void this.#endLater(active.id, context, end);
    this.#options.release(slot);
  }

  /** The last event of an answer whose context is long comes when threads have cut that. */
  async #endLater(
    id: number,
    context: Promise<Int32Array>,
    end: (tokens: Int32Array) => void,
  ): Promise<void> {
    try {
      end(await context);
      this.#options.said();
    } catch (error) {
      this.#options.failed(id, error);
    }
  }

  /** An answer may begin with tokens that its constraint forces. True when it does. */
  #forceFirst(slot: Slot, active: Active): boolean {
    if (active.evalTokens > 0 || active.constraint === undefined) return false;
    try {
      this.#takeForced(slot, active);
    } catch (error) {
      this.#options.fail(slot, error);
    }
    return slot.active !== active || active.pending.length > 0;
  }

  /** The row again, under the constraint, when a free token may not stand. @throws EngineError */
  #resampled(active: Active, row: number, first: SampledRow): SampledRow {
    const shown = this.#shown(active, first);
    const again = active.constraint?.refuses(shown)
      ? this.#model.sample([{ row, sampler: active.sampler }])[0]
      : shown;
    if (again?.token === -2) throw new EngineError(`constraint: ${active.sampler.failure}`);
    if (again === undefined || again.token < 0) {
      throw new EngineError("the model computed no finite logits");
    }
    return again;
  }

  /** A special token that the request wants to see has bytes. */
  #shown(active: Active, sampled: SampledRow): SampledRow {
    const { token } = sampled;
    return active.visible.has(token)
      ? { ...sampled, bytes: this.#model.piece(token, true) }
      : sampled;
  }

  /** What one sampled token means: text, the end, or more to come. */
  #take(slot: Slot, active: Active, row: number, sampled: SampledRow): void {
    if (sampled.ends) {
      active.evalTokens++;
      this.finish(slot, active, "stop");
      return;
    }
    const { logprobs } = active.request;
    const taken = { token: sampled.token, bytes: sampled.bytes, last: true };
    const goesOn = this.#takeToken(slot, active, taken, () =>
      logprobs === undefined ? undefined : [this.#logprob(row, sampled.token, logprobs)],
    );
    if (goesOn) this.#takeForced(slot, active);
  }

  /** Adds a token to the answer; `last`: of those that the constraint knows. False when that ended it. */
  #takeToken(
    slot: Slot,
    active: Active,
    { token, bytes, last }: { token: number; bytes: Uint8Array; last: boolean },
    logprobs: () => LogprobsOf | undefined,
  ): boolean {
    active.evalTokens++;
    active.constraint?.note(token, bytes);
    const piece = active.assembler.push(bytes);
    if (active.request.wantContext) active.output += piece.text;
    const wanted = piece.swallowed ? undefined : logprobs();
    if (piece.text !== "" || wanted !== undefined) {
      const more = wanted === undefined ? {} : { logprobs: wanted };
      this.#events.push([active.id, { type: "text", text: piece.text, ...more }]);
    }
    const over = last && active.constraint?.settle();
    // Only the end token may follow: it is not worth a step, but it counts (api.md 7.6).
    if (over && active.evalTokens < active.request.maxTokens) active.evalTokens++;
    if (piece.stopped || over) this.finish(slot, active, "stop");
    else if (active.evalTokens >= active.request.maxTokens) this.finish(slot, active, "length");
    else active.pending.push(token);
    return slot.active === active;
  }

  /** Adds what the constraint forces, without sampling; not where probabilities are asked for. */
  #takeForced(slot: Slot, active: Active): void {
    if (active.constraint === undefined || active.request.logprobs !== undefined) return;
    const left = active.request.maxTokens - active.evalTokens;
    const forced = active.constraint.forced(left);
    for (const [i, token] of forced.entries()) {
      const taken = {
        token,
        bytes: this.#model.piece(token, false),
        last: i === forced.length - 1,
      };
      if (!this.#takeToken(slot, active, taken, () => undefined)) return;
    }
  }

  #logprob(row: number, token: number, top: number): TokenLogprob & { top: TokenLogprob[] } {
    const [own, ...likeliest] = this.#model
      .logprobs(row, token, top)
      .map(({ token: id, logprob }) => {
        const bytes = this.#model.piece(id, false);
        // JSON has neither infinity nor what is no number (a broken model computes that): what cannot
        // come gets the least that APIs of this field write.
        const finite = Number.isNaN(logprob) ? leastLogprob : Math.max(logprob, leastLogprob);
        return {
          token: new TextDecoder().decode(bytes),
          logprob: finite,
          bytes: Array.from(bytes),
        };
      });
    if (own === undefined) throw new EngineError("no log probability of the sampled token");
    return { ...own, top: likeliest };
  }

  /** Tokens of prompt text plus answer, without BOS (api.md 5). */
  #context(active: Active): Cut {
    const texts = active.request.prompt.flatMap((part) => {
      if ("media" in part) return [];
      if ("text" in part) return [part];
      const own = part.texts ?? [this.#model.detokenize(Int32Array.from(part.tokens))];
      return own.map((text) => ({ text, parseSpecial: true }));
    });
    const last = texts.at(-1);
    const answer = { text: active.output, parseSpecial: true };
    const whole = last?.parseSpecial
      ? [...texts.slice(0, -1), { ...answer, text: last.text + active.output }]
      : [...texts, answer];
    return this.#options.promptTokens(whole, false);
  }
}
