/** Turns the shares of a step into rows of its batch; contexts that are full are shifted, or their requests ended. */
import type { StepBuffers } from "../../../ffi/native.ts";
import type { Answers, DueRow } from "./answers.ts";
import { fixedChunk, type Share } from "./plan.ts";
import type { Sequences } from "./sequences.ts";
import type { Active, Slot } from "./slot.ts";

export interface StepRowsOptions {
  readonly step: StepBuffers;
  readonly sequences: Sequences;
  readonly answers: Answers;
  /** Tokens one sequence can hold. */
  readonly cells: number;
  readonly addsBos: boolean;
  /** The model's memory can be shifted. */
  readonly canShift: boolean;
}

/** What a step evaluates. */
export interface FilledStep {
  readonly rows: number;
  /** Tokens that a row looks back at, in the mean. */
  readonly back: number;
  /** Rows whose logits are to be sampled. */
  readonly sampled: DueRow[];
  /** Takes the prompts' rows back, which were not evaluated after all. */
  undo(): void;
}

export class StepRows {
  readonly #options: StepRowsOptions;

  constructor(options: StepRowsOptions) {
    this.#options = options;
  }

  /** @param number the step's number */
  fill(shares: readonly Share[], number: number): FilledStep {
    const { step, sequences: all, cells } = this.#options;
    const { tokens, positions, sequences, wanted } = step;
    const sampled: DueRow[] = [];
    const before: Before[] = [];
    let rows = 0;
    let back = 0;
    for (const { slot: index, count } of shares) {
      const slot = all.slots[index];
      const active = slot?.active;
      if (slot === undefined || active === undefined) continue;
      active.served = number;
      const prompt = active.promptLeft > 0;
      if (!prompt) active.goesOn = true;
      if (!prompt && !this.#makeRoom(slot, active)) continue;
      const most = prompt ? count : Math.min(count, cells - slot.tokens.length);
      const chunk = Math.min(fixedChunk, step.capacity);
      const first = rows;
      if (prompt) before.push(stateOf(slot, active));
      if (prompt && count === chunk && slot.whole === slot.tokens.length) slot.whole += chunk;
      for (let i = 0; i < most; i++) {
        const token = prompt ? active.prompt[active.evaluated++] : active.pending.shift();
        if (token === undefined) break;
        tokens[rows] = token;
        positions[rows] = slot.position();
        sequences[rows] = slot.sequence;
        wanted[rows] = 0;
        back += slot.tokens.push(token);
        rows++;
      }
      if (active.promptLeft > 0 || active.pending.length > 0) continue;
      wanted[rows - 1] = 1;
      const due = { row: rows - 1, slot, active };
      const guesses = prompt ? [] : (active.drafter?.take(first + most - rows) ?? []);
      for (const token of guesses) {
        tokens[rows] = token;
        positions[rows] = slot.position();
        sequences[rows] = slot.sequence;
        wanted[rows] = 1;
        back += slot.tokens.push(token);
        rows++;
      }
      sampled.push(guesses.length > 0 ? { ...due, guesses } : due);
    }
    return {
      rows,
      back: rows === 0 ? 0 : back / rows,
      sampled,
      undo: () => before.forEach(restore),
    };
  }

  /** Room for one more token: shifts a full context, or ends the request. True when there is room. */
  #makeRoom(slot: Slot, active: Active): boolean {
    const { cells, canShift, addsBos, sequences, answers } = this.#options;
    const full = slot.tokens.length + 1 >= cells;
    if (!full) return true;
    const shifts = active.request.shift && canShift && sequences.canTrim;
    if (!shifts || slot.spans.length > 0) {
      if (slot.tokens.length < cells) return true; // the last cell is used up first
      answers.finish(slot, active, "length");
      return false;
    }
    const { keep: wish } = active.request;
    const asked = wish < 0 ? active.prompt.length : wish + (addsBos ? 1 : 0);
    const keep = Math.max(0, Math.min(asked, cells - 4));
    const dropped = Math.max(1, (slot.tokens.length - keep) >> 1);
    sequences.shift(slot, keep, dropped);
    active.shifted += dropped;
    return true;
  }
}

/** How far a prompt was before a step. */
interface Before {
  readonly slot: Slot;
  readonly active: Active;
  readonly evaluated: number;
  readonly held: number;
  readonly whole: number;
}

function stateOf(slot: Slot, active: Active): Before {
  return { slot, active, evaluated: active.evaluated, held: slot.tokens.length, whole: slot.whole };
}

function restore({ slot, active, evaluated, held, whole }: Before): void {
  active.evaluated = evaluated;
  slot.tokens.length = held;
  slot.whole = whole;
}
