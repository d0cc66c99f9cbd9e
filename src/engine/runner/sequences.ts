/**
 * The sequences of the KV cache and what they hold: which one a request gets, with as much of its prompt
 * as can be kept, copied from another, or read from disk; and more of them when all are in use.
 */
import { facts, type NativeModel } from "../../../ffi/native.ts";
import { EngineError } from "../../errors.ts";
import { fewSlots, nextSlots } from "../../slots.ts";
import { wholeSpans } from "./media.ts";
import { fixedChunk } from "./plan.ts";
import { chooseSlot, givesUp, neighbour } from "./prefix.ts";
import type { PrefixCache } from "./prefix-cache.ts";
import { Slot } from "./slot.ts";

/** A prompt is kept on disk when evaluating it again would take so long. */
const worthSavingSeconds = 0.2;

/** Slots are saved when nothing was asked for so long: often the next request is on its way. Milliseconds. */
const idleMs = 50;

/** What slots hold is moved when evaluating it again would take no longer than this, which makes it a small thing to move. */
const worthMovingSeconds = 2;

/** Cached tokens are used when there are so many, or when they save so much time. */
const worthKeepingTokens = 32;
const worthKeepingSeconds = 0.02;

export interface SequencesOptions {
  /** Slots that there may be. */
  readonly most: number;
  /** Only what any request would evaluate in the same way is kept of a prompt (`planAlone`). */
  readonly deterministic: boolean;
  /** Evaluated prompts on disk. */
  readonly prefixes: PrefixCache | undefined;
  /** Measured speed of evaluating prompts, tokens a second. */
  readonly promptSpeed: () => number;
  /** Whether embeddings have borrowed a sequence. */
  readonly borrowed: (sequence: number) => boolean;
  /** Called when there are more slots, with the memory that the model takes now. */
  readonly onGrown: (memory: { total: number; gpu: number }) => void;
}

export class Sequences {
  readonly slots: Slot[];
  readonly canTrim: boolean;
  readonly #model: NativeModel;
  readonly #options: SequencesOptions;
  #most: number;
  #uses = 0;
  #saving: Timer | undefined;
  /** Sequences were copied since the last step: the cells follow with the next one (hutch.h). */
  #copying = false;

  constructor(model: NativeModel, options: SequencesOptions) {
    this.#model = model;
    this.#options = options;
    this.#most = options.most;
    this.slots = Array.from({ length: model.fact(facts.slots) }, (_, i) => new Slot(i));
    this.canTrim = model.fact(facts.canTrim) === 1;
  }

  /** A step was evaluated: copies are done. */
  stepped(): void {
    this.#copying = false;
  }

  /** The slot is no longer in use. */
  left(slot: Slot): void {
    slot.lastUse = ++this.#uses;
    slot.unsaved = true;
  }

  /**
   * The slot for a prompt and how many of its tokens it holds already; undefined when the prompt has
   * to wait, for a slot or for another request that evaluates the same beginning.
   */
  place(prompt: Int32Array): { slot: Slot; kept: number } | undefined {
    const first = this.#choose(prompt);
    const grown = first?.givesUp && this.slots.length < fewSlots && this.grow(0);
    const chosen = grown ? this.#choose(prompt) : first;
    if (chosen === undefined) return undefined;
    const { choice } = chosen;
    const stays = choice.kind === "use" ? this.#stays(chosen.slot, choice.common) : 0;
    // What stays is saved when there is time (`saveSoon`).
    if (chosen.slot.tokens.length - stays >= this.#worthSaving()) this.#save(chosen.slot);
    if (stays === 0 && !this.#copying) this.empty(chosen.slot);
    const slot = this.#beside(chosen.slot, choice.kind === "copy" ? choice.source : undefined);
    if (choice.kind === "copy") this.#copy(choice.source, slot);
    const common = Math.max(choice.common, this.#restore(slot, prompt, choice.common));
    return { slot, kept: this.trim(slot, this.#useful(Math.min(common, prompt.length - 1))) };
  }

  /** The slot that suits a prompt best, and whether a conversation is lost with it; undefined = wait. */
  #choose(prompt: Int32Array) {
    const choice = chooseSlot(this.#views(), prompt, this.canTrim);
    const slot = choice.kind === "wait" ? undefined : this.slots[choice.slot];
    if (choice.kind === "wait" || slot === undefined) return undefined;
    return { choice, slot, givesUp: givesUp(slot, choice.kind === "use" ? choice.common : 0) };
  }

  /** The slot to use in place of a free one, to which its contents have moved: see `neighbour`. */
  #beside(slot: Slot, source: number | undefined): Slot {
    // A step of one request has no neighbours. Until a step has made the copies nothing can be moved.
    if (this.#options.deterministic || this.#copying) return slot;
    const views = this.#views().map(({ tokens, busy }, index) => ({
      busy,
      held: index === source ? Number.POSITIVE_INFINITY : tokens.length,
    }));
    const most = this.#options.promptSpeed() * worthMovingSeconds;
    const near = this.slots[neighbour(views, this.slots.indexOf(slot), most)];
    if (near === undefined || near === slot) return slot;
    const [there, here] = [slot, near].map((each) => this.#take(each));
    slot.exchange(near);
    this.#put(near, there);
    this.#put(slot, here);
    return near;
  }

  /** What a slot's sequence holds; the sequence is empty then. */
  #take({ sequence, tokens }: Slot): Uint8Array | undefined {
    if (tokens.length === 0) return undefined;
    const bytes = this.#model.saveSequence(sequence);
    this.#model.remove(sequence, -1, -1);
    return bytes;
  }

  #put(slot: Slot, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) return;
    // It is kept to save time alone: what cannot be moved is forgotten.
    if (!this.#model.restoreSequence(slot.sequence, bytes)) slot.clear();
  }

  /**
   * How many of so many cached tokens are used. A prompt that is evaluated in other pieces gives other
   * last bits, and near ties another text: where the cache saves no time that anybody notices, the
   * answer shall not depend on what was asked before. When that is never to happen, whole pieces only.
   */
  #useful(tokens: number): number {
    if (this.#options.deterministic) return tokens - (tokens % fixedChunk);
    const seconds = tokens / this.#options.promptSpeed();
    return tokens >= worthKeepingTokens || seconds >= worthKeepingSeconds ? tokens : 0;
  }

  #views() {
    return this.slots.map((slot) => ({
      tokens: this.#options.deterministic ? slot.tokens.slice(0, slot.whole) : slot.tokens,
      busy: slot.active !== undefined || this.#options.borrowed(slot.sequence),
      lastUse: slot.lastUse,
      ...(slot.active !== undefined && slot.active.promptLeft > 0
        ? { coming: slot.active.prompt as ArrayLike<number> as readonly number[] }
        : {}),
    }));
  }

  /**
   * More slots when all are busy: a model with few takes little memory, and most never serve many. In
   * place that costs nothing, else a larger context is made (ffi/state.cpp). False when there are as many
   * as allowed, or as memory holds.
   */
  grow(waiting: number): boolean {
    if (this.#copying) return false;
    const present = this.slots.length;
    let next = nextSlots(present, waiting, this.#most);
    while (next > present && !this.#model.setSlots(next)) {
      next = Math.floor(next / 2);
      this.#most = Math.max(present, next);
    }
    if (next <= present) return false;
    for (let sequence = present; sequence < next; sequence++) this.slots.push(new Slot(sequence));
    this.#options.onGrown({
      total: this.#model.fact(facts.memoryTotal),
      gpu: this.#model.fact(facts.memoryGpu),
    });
    return true;
  }

  /** Whether nothing is free. */
  get full(): boolean {
    return this.slots.every(({ active }) => active !== undefined);
  }

  empty(slot: Slot): void {
    this.#model.remove(slot.sequence, -1, -1);
    slot.clear();
  }

  /**
   * How many of the first `count` tokens `trim` can keep. A sliding window may have lost cells that the
   * tokens to come would look back at.
   */
  #stays(slot: Slot, count: number): number {
    if (count === slot.tokens.length) return count;
    return this.canTrim && this.#model.firstPosition(slot.sequence) === 0 ? count : 0;
  }

  /** Keeps the first `count` tokens of a slot when its memory can do that, else none. Returns how many. */
  trim(slot: Slot, wanted: number): number {
    if (wanted === slot.tokens.length) return wanted;
    const count = this.#stays(slot, wholeSpans(slot.spans, wanted));
    if (count > 0 && this.#model.remove(slot.sequence, slot.position(count), -1)) {
      slot.cut(count);
      return count;
    }
    this.empty(slot);
    return 0;
  }

  /** Forgets the last `count` tokens of a slot, which were guessed wrong. @throws EngineError */
  forget(slot: Slot, count: number): void {
    const left = slot.tokens.length - count;
    // A step's own cells are always there, so a sliding window has lost nothing that is needed.
    if (!this.#model.remove(slot.sequence, slot.position(left), -1)) {
      throw new EngineError("the model's memory cannot forget wrong guesses");
    }
    slot.cut(left);
  }

  /** Drops `count` tokens behind the first `keep`; those that follow move up. */
  shift(slot: Slot, keep: number, count: number): void {
    this.#model.remove(slot.sequence, keep, keep + count);
    this.#model.shift(slot.sequence, keep + count, slot.tokens.length, -count);
    slot.tokens.splice(keep, count);
    slot.whole = Math.min(slot.whole, keep);
  }

  /** With nothing else to do for a moment, saves the slots, one at a time. */
  saveSoon(): void {
    if (this.#options.prefixes === undefined || !this.slots.some(({ unsaved }) => unsaved)) return;
    this.#saving ??= setTimeout(() => {
      this.#saving = undefined;
      if (this.slots.some(({ active }) => active !== undefined)) return;
      const slot = this.slots.find(({ unsaved }) => unsaved);
      if (slot !== undefined) this.#save(slot);
      this.saveSoon();
    }, idleMs);
  }

  #copy(from: number, slot: Slot): void {
    const source = this.slots[from];
    if (source === undefined) return;
    this.empty(slot);
    this.#model.copySequence(source.sequence, slot.sequence);
    this.#copying = true;
    slot.tokens = [...source.tokens];
    slot.spans = [...source.spans];
    slot.whole = source.whole;
  }

  /** Tokens whose evaluation takes so long that a file is faster. */
  #worthSaving(): number {
    return Math.max(64, Math.ceil(this.#options.promptSpeed() * worthSavingSeconds));
  }

  /** Writes what a slot holds to the prefix cache, when the cache lacks much of it. */
  #save(slot: Slot): void {
    if (this.#options.prefixes === undefined || !slot.unsaved || this.#copying) return;
    slot.unsaved = false;
    const { tokens, sequence } = slot;
    const least = this.#worthSaving();
    if (slot.spans.length > 0) return; // images are not named by tokens
    if (tokens.length < least || tokens.length - this.#options.prefixes.covered(tokens) < least)
      return;
    void this.#options.prefixes.save(Int32Array.from(tokens), this.#model.saveSequence(sequence));
  }

  /** Fills a slot from the prefix cache when that saves much. Returns the tokens in common, 0 = not done. */
  #restore(slot: Slot, prompt: Int32Array, had: number): number {
    if (this.#copying) return 0;
    const found = this.#options.prefixes?.find(prompt, had + this.#worthSaving(), !this.canTrim);
    const bytes = found?.bytes();
    if (found === undefined || bytes === undefined) return 0;
    this.empty(slot);
    if (!this.#model.restoreSequence(slot.sequence, bytes)) return 0;
    slot.tokens = Array.from(found.tokens);
    return found.common;
  }
}
