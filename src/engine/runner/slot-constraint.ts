/**
 * The constraint of one running request: from which token on it holds, and what it forces. While text
 * is free the sampler knows nothing of it; once it holds, only what it allows is sampled.
 */
import type { NativeModel, NativeSampler, SampledRow } from "../../../ffi/native.ts";
import { EngineError } from "../../errors.ts";
import type { ConstraintUse } from "../engine.ts";
import type { HeldConstraint } from "./constraints.ts";

/**
 * - `begins`: nothing decided yet, the model may open its thinking or begin the answer;
 * - `thinking`: free until the thinking ends;
 * - `free`: free until the next tag;
 * - `held`: the constraint holds;
 * - `done`: free to the end.
 */
type Phase = "begins" | "thinking" | "free" | "held" | "done";

const blank = /^\s*$/;

export class SlotConstraint {
  readonly #model: NativeModel;
  readonly #sampler: NativeSampler;
  readonly #use: ConstraintUse;
  readonly #held: HeldConstraint;
  readonly #decoder = new TextDecoder();
  #phase: Phase;
  /** Free text in which the next border is looked for. */
  #seen = "";
  /** Text of the last token. */
  #last = "";
  /** Tokens since the beginning, while it is undecided. */
  #first: number[] = [];

  /** @throws EngineError when the constraint was refused */
  constructor(
    model: NativeModel,
    sampler: NativeSampler,
    use: ConstraintUse,
    held: HeldConstraint,
  ) {
    this.#model = model;
    this.#sampler = sampler;
    this.#use = use;
    this.#held = held;
    if (use.thinking === undefined) this.#phase = this.#answerPhase();
    else this.#phase = use.thinking.opened ? "thinking" : "begins";
    if (this.#phase === "free") this.#seen = use.tag?.before ?? "";
    if (this.#phase === "held") this.#constrain();
  }

  /**
   * Whether a token that was sampled freely must be sampled again from the same row, because with it
   * the model begins its answer without having thought. The constraint holds from here.
   * @throws EngineError when free tokens before it do not fit
   */
  refuses({ token, ends, bytes }: SampledRow): boolean {
    const { thinking } = this.#use;
    if (this.#phase !== "begins" || thinking === undefined || token < 0) return false;
    const text = (this.#seen + new TextDecoder().decode(bytes)).trimStart();
    if (!ends && (thinking.open.startsWith(text) || text.startsWith(thinking.open))) return false;
    this.#phase = this.#answerPhase();
    if (this.#phase !== "held") return false;
    this.#constrain();
    const written = blank.test(this.#seen) ? [] : this.#first;
    if (!this.#sampler.feed(Int32Array.from(written))) {
      throw new EngineError("the answer began before its constraint could hold");
    }
    return true;
  }

  /** Takes note of a token that was sampled or forced. */
  note(token: number, bytes: Uint8Array): void {
    this.#last = this.#decoder.decode(bytes, { stream: true });
    if (this.#phase === "held" || this.#phase === "done") return;
    this.#seen += this.#last;
    if (this.#phase === "begins") this.#noteBeginning(token);
    if (this.#phase === "thinking") this.#border([this.#use.thinking?.close ?? ""]);
    if (this.#phase === "free") this.#lookForTag();
  }

  /**
   * To be asked once all tokens that the sampler knows are noted: whether the answer is whole. Where
   * the constraint holds for parts only, text is free again.
   */
  settle(): boolean {
    if (this.#phase !== "held") return false;
    const { next = "end" } = this.#use.tag ?? {};
    if (next === "end") return this.#sampler.over;
    const fulfilled = next === "text" ? this.#sampler.whole : this.#sampler.over;
    if (fulfilled) this.#lift(this.#last.replace(/^[\s\S]*[}\])>]/, ""));
    return false;
  }

  /**
   * Tokens that must follow, at most `most`; they still have to be noted. None where the constraint
   * holds for parts only: there the model goes on in its own tokens, as long as they fit.
   * @throws EngineError
   */
  forced(most: number): Int32Array {
    const forces = this.#phase === "held" && this.#use.tag === undefined;
    return forces ? this.#sampler.forced(most) : new Int32Array(0);
  }

  release(): void {
    this.#held.release();
  }

  #answerPhase(): Phase {
    return this.#use.tag === undefined ? "held" : "free";
  }

  #noteBeginning(token: number): void {
    this.#first.push(token);
    const open = this.#use.thinking?.open ?? "";
    const text = this.#seen.trimStart();
    if (!text.startsWith(open)) return;
    this.#phase = "thinking";
    this.#seen = text.slice(open.length);
  }

  #lookForTag(): void {
    const { texts, atStart } = this.#use.tag ?? { texts: [], atStart: false };
    const start = this.#seen.trimStart();
    const begins = texts.some((text) => text.startsWith(start) || start.startsWith(text));
    if (atStart && !begins) this.#phase = "done";
    else this.#border(texts);
  }

  /** Looks for texts that end a free phase; what stands behind one in the same token counts. */
  #border(texts: readonly string[]): void {
    const ends = texts.flatMap((text) => {
      const at = this.#seen.indexOf(text);
      return at < 0 ? [] : [at + text.length];
    });
    if (ends.length === 0) {
      this.#seen = this.#seen.slice(-Math.max(...texts.map(({ length }) => length)));
      return;
    }
    const rest = this.#seen.slice(Math.min(...ends));
    this.#seen = "";
    const ofThinking = this.#phase === "thinking";
    this.#phase = ofThinking ? this.#answerPhase() : "held";
    if (this.#phase === "free") {
      this.#seen = rest;
      this.#lookForTag();
      return;
    }
    this.#constrain();
    if (blank.test(rest) || this.#sampler.feed(this.#model.tokenize(rest, false, false))) return;
    if (ofThinking) throw new EngineError("the answer began before its constraint could hold");
    this.#lift(""); // no call, only a text that contains the tag
  }

  #constrain(): void {
    this.#sampler.constrain(this.#held.native);
  }

  /** Free again until the next tag. @param seen what already stands behind the call */
  #lift(seen: string): void {
    this.#sampler.constrain(undefined);
    this.#phase = this.#use.tag?.atStart ? "done" : "free";
    this.#seen = seen;
  }
}
