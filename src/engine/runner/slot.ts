/** A slot: one sequence of the KV cache, what it holds, and the request that is using it. */

import type { NativeSampler } from "../../../ffi/native.ts";
import type { GenerateEvent, GenerateRequest } from "../engine.ts";
import type { Drafter } from "./draft.ts";
import { freeMedia, type MediaSpan, positionAt, type Span } from "./media.ts";
import type { Want } from "./plan.ts";
import type { SlotConstraint } from "./slot-constraint.ts";
import { TextAssembler } from "./text.ts";

/** A request that has a slot. */
export class Active {
  /** Tokens of the prompt that are in the cache already. */
  evaluated: number;
  readonly assembler: TextAssembler;
  /** Sampled or forced, but not yet evaluated, in order. */
  readonly pending: number[] = [];
  evalTokens = 0;
  /** Tokens dropped to make room. */
  shifted = 0;
  paused = false;
  /** Number of the step that it was last part of. */
  served = 0;
  /** It was part of a step after its prompt's. */
  goesOn = false;
  /** Raw text so far, kept only when the final `context` is wanted. */
  output = "";
  /** `performance.now()` when the first prompt chunk began, and when the first token came. */
  promptSince = 0;
  evalSince = 0;
  /** Rows of the media at `evaluated` that the model has read. */
  mediaRows = 0;
  /** Guesses what comes next, when the request wants that. */
  drafter: Drafter | undefined;
  /** The projector has begun on the media at `evaluated`. */
  mediaEncoding = false;

  constructor(
    readonly id: number,
    readonly request: GenerateRequest,
    readonly prompt: Int32Array,
    /** Where the prompt is not text; their media are freed with this. */
    readonly spans: readonly MediaSpan[],
    readonly cached: number,
    readonly sampler: NativeSampler,
    readonly constraint: SlotConstraint | undefined,
    /** Order of arrival. */
    readonly order: number,
    /** Special tokens that are shown. */
    readonly visible: ReadonlySet<number>,
  ) {
    this.evaluated = cached;
    this.assembler = new TextAssembler(request.stop);
  }

  get promptLeft(): number {
    return this.prompt.length - this.evaluated;
  }

  /** Tokens of text that can be evaluated before the next media. */
  get textLeft(): number {
    const media = this.spans.find(({ start }) => start >= this.evaluated);
    return (media?.start ?? this.prompt.length) - this.evaluated;
  }

  /** The media that comes next, when it does. */
  get mediaNext(): MediaSpan | undefined {
    return this.spans.find(({ start }) => start === this.evaluated);
  }

  /**
   * What it wants of the next step of text; undefined while it is paused or at a media.
   *
   * @param now `performance.now()`
   */
  wants(slot: number, now: number): Want | undefined {
    if (this.paused || this.mediaNext !== undefined) return undefined;
    const { textLeft: promptLeft, evaluated, order, served } = this;
    const pending = this.pending.length + (this.drafter?.open ?? 0);
    const begun = promptLeft === 0 && !this.goesOn ? (now - this.evalSince) / 1000 : undefined;
    return {
      slot,
      promptLeft,
      evaluated,
      pending,
      order,
      served,
      ...(begun !== undefined && { begun }),
    };
  }

  free(): void {
    this.sampler.free();
    this.drafter?.free();
    this.constraint?.release();
    freeMedia(this.spans);
  }

  /** The final event; times are from now. */
  done(reason: "stop" | "length"): Extract<GenerateEvent, { type: "done" }> {
    const now = performance.now();
    const { drafter } = this;
    return {
      type: "done",
      reason,
      promptTokens: this.prompt.length,
      cachedTokens: this.cached,
      shiftedTokens: this.shifted,
      promptNs: Math.round((this.evalSince - this.promptSince) * 1e6),
      evalTokens: this.evalTokens,
      evalNs: Math.max(1, Math.round((now - this.evalSince) * 1e6)),
      ...(drafter && { drafted: { tokens: drafter.drafted, accepted: drafter.accepted } }),
    };
  }
}

export class Slot {
  /** What the sequence holds, cell by cell; rows of media are negative. */
  tokens: number[] = [];
  /** Where it holds media. */
  spans: Span[] = [];
  /** Tokens at the front that were evaluated as whole chunks of text, as any request would evaluate them. */
  whole = 0;
  active: Active | undefined;
  lastUse = 0;
  /** Holds tokens that the prefix cache may lack. */
  unsaved = false;
  constructor(readonly sequence: number) {}

  /** Position of the cell at an index, or of the next one. Not inside a span. */
  position(index = this.tokens.length): number {
    return this.spans.length === 0 ? index : positionAt(this.spans, index);
  }

  /** Forgets what comes from an index on; not inside a span. */
  cut(index: number): void {
    this.tokens.length = index;
    this.whole = Math.min(this.whole, index);
    this.spans = this.spans.filter(({ start }) => start < index);
  }

  clear(): void {
    this.cut(0);
  }

  /** Two slots that nobody uses exchange what they hold; the memory has to follow. */
  exchange(other: Slot): void {
    const held = this.#held;
    Object.assign(this, other.#held);
    Object.assign(other, held);
  }

  get #held() {
    const { tokens, spans, whole, lastUse, unsaved } = this;
    return { tokens, spans, whole, lastUse, unsaved };
  }
}
