/** A slot: one sequence of the KV cache, what it holds, and the request that is using it. */

import type { NativeSampler } from "../../../ffi/native.ts";
import type { GenerateEvent, GenerateRequest } from "../engine.ts";
import { TextAssembler } from "./text.ts";

/** A request that has a slot. */
export class Active {
  /** Tokens of the prompt that are in the cache already. */
  evaluated: number;
  readonly assembler: TextAssembler;
  /** Sampled, but not yet evaluated. */
  pending = -1;
  evalTokens = 0;
  /** Tokens dropped to make room. */
  shifted = 0;
  paused = false;
  /** Raw text so far, kept only when the final `context` is wanted. */
  output = "";
  /** `performance.now()` when the first prompt chunk began, and when the first token came. */
  promptSince = 0;
  evalSince = 0;

  constructor(
    readonly id: number,
    readonly request: GenerateRequest,
    readonly prompt: Int32Array,
    readonly cached: number,
    readonly sampler: NativeSampler,
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

  /** The final event; times are from now. */
  done(reason: "stop" | "length", context: number[] | undefined): GenerateEvent {
    const now = performance.now();
    return {
      type: "done",
      reason,
      promptTokens: this.prompt.length,
      cachedTokens: this.cached,
      shiftedTokens: this.shifted,
      promptNs: Math.round((this.evalSince - this.promptSince) * 1e6),
      evalTokens: this.evalTokens,
      evalNs: Math.max(1, Math.round((now - this.evalSince) * 1e6)),
      ...(context === undefined ? {} : { context }),
    };
  }
}

export class Slot {
  /** What the sequence holds, position by position. */
  tokens: number[] = [];
  active: Active | undefined;
  lastUse = 0;
  constructor(readonly sequence: number) {}
}
