/**
 * Drafting in a runner: guesses at the tokens to come are rows of a step beside the token that is due,
 * and stay when the model's own choice, row by row, is the same. So the text is what it would be
 * without; only the number of steps differs. Models whose memory cannot forget wrong guesses do not draft.
 */
import { facts, type NativeDrafter, type NativeModel } from "../../../ffi/native.ts";
import type { DraftWish, GenerateRequest, LoadSpec } from "../engine.ts";
import { DraftPace, guessesEach, mostGuesses } from "./draft-plan.ts";
import type { Active, Slot } from "./slot.ts";

/** Tokens of the past that are read beside one step: n-grams take a microsecond each ... */
const ngramRead = 1024;
/** ... a draft model takes its time: as many as it reads in this, seconds, and no fewer than so many. */
const readSeconds = 0.03;
const fewestRead = 16;

/** How requests of a model can draft. */
export function draftKinds(model: NativeModel, spec: LoadSpec): DraftWish["kind"][] {
  const forgets = model.fact(facts.canTrim) === 1 && model.fact(facts.generates) === 1;
  // Where no result may depend on the shape of a step there are no guesses.
  if (spec.deterministic || !forgets) return [];
  return model.fact(facts.drafts) === 1 ? ["ngram", "model"] : ["ngram"];
}

/** The drafter of one request. */
export class Drafter {
  readonly #model: NativeModel;
  readonly #pace: DraftPace;
  readonly byModel: boolean;
  #native: NativeDrafter;
  /** Tokens that the native drafter was told. */
  #told = 0;
  /** Tokens that the context had dropped then: after more the past is another. */
  #shifted = 0;
  /** Guesses that no step has judged yet. */
  #open: readonly number[] = [];
  /** Seconds that guessing took since the last step. */
  #spent = 0;
  #last = { guesses: 0, right: 0 };
  /** Speed at which the draft model reads, tokens a second. */
  #speed = fewestRead / readSeconds;
  /** Guesses that were judged, and those that came true. */
  drafted = 0;
  accepted = 0;

  /** @throws EngineError when there is no draft model */
  constructor(model: NativeModel, { kind, most }: DraftWish) {
    this.#model = model;
    this.byModel = kind === "model";
    this.#pace = new DraftPace(Math.min(most, mostGuesses), this.byModel ? 4 : 2);
    this.#native = model.drafter(this.byModel);
  }

  /** Guesses that wait to be judged. */
  get open(): number {
    return this.#open.length;
  }

  /** Guesses at most `most` tokens, unless guesses are open. @throws EngineError */
  guess(slot: Slot, active: Active, most: number): void {
    const wish = Math.min(most, this.#pace.wish);
    if (this.#open.length > 0 || wish < 1) return;
    this.#tell(slot, active);
    if (!this.#read()) return;
    const since = performance.now();
    this.#open = Array.from(this.#native.guess(wish));
    this.#spent += (performance.now() - since) / 1000;
  }

  /** Hands at most `most` guesses to a step that judges them; the others are dropped. */
  take(most: number): readonly number[] {
    const guesses = this.#open.slice(0, Math.max(0, most));
    this.#open = [];
    this.drafted += guesses.length;
    this.#last = { guesses: guesses.length, right: 0 };
    return guesses;
  }

  /** One more of the guesses that were taken has come true. */
  right(): void {
    this.#last.right++;
    this.accepted++;
  }

  /** A step is over. @param seconds that it took; undefined when it was not this request's alone */
  stepped(seconds: number | undefined): void {
    const { guesses, right } = this.#last;
    this.#pace.observe(guesses, right, seconds === undefined ? undefined : seconds + this.#spent);
    this.#spent = 0;
    this.#last = { guesses: 0, right: 0 };
  }

  free(): void {
    this.#native.free();
  }

  /** What came since it was told last: all that the sequence holds, and what is to be evaluated next. */
  #tell(slot: Slot, active: Active): void {
    if (active.shifted !== this.#shifted) {
      this.#native.free();
      this.#native = this.#model.drafter(this.byModel);
      this.#told = 0;
      this.#shifted = active.shifted;
    }
    const held = slot.tokens.slice(this.#told);
    const pending = active.pending.slice(Math.max(0, this.#told - slot.tokens.length));
    this.#native.add(Int32Array.from([...held, ...pending]));
    this.#told += held.length + pending.length;
  }

  /** Reads on. True when all is read. */
  #read(): boolean {
    if (!this.byModel) return this.#native.read(ngramRead) === 0;
    const most = Math.max(fewestRead, Math.floor(this.#speed * readSeconds));
    const before = this.#native.read(0);
    if (before === 0) return true;
    const since = performance.now();
    const left = this.#native.read(most);
    const seconds = (performance.now() - since) / 1000;
    if (before - left >= fewestRead) this.#speed = (before - left) / Math.max(seconds, 1e-4);
    else this.#spent += seconds;
    return left === 0;
  }
}

export interface DraftsOptions {
  readonly kinds: readonly DraftWish["kind"][];
  /** Most rows of a step. */
  readonly capacity: number;
  /** Tokens one sequence can hold. */
  readonly cells: number;
  readonly fail: (slot: Slot, error: unknown) => void;
}

/** Lets the requests of a runner guess before each step. */
export class Drafts {
  readonly #options: DraftsOptions;
  /** Who has the draft model: it holds the past of one request, and reads it anew for another. */
  #owner: Active | undefined;

  constructor(options: DraftsOptions) {
    this.#options = options;
  }

  /** The drafter that a request wants, where it can have one. A draft model reads text only. @throws EngineError */
  drafterFor(model: NativeModel, { draft }: GenerateRequest, text: boolean): Drafter | undefined {
    if (draft === undefined || !this.#options.kinds.includes(draft.kind)) return undefined;
    return text || draft.kind === "ngram" ? new Drafter(model, draft) : undefined;
  }

  /** Lets requests guess before a step. */
  guess(slots: readonly Slot[]): void {
    const decoding = slots.filter(
      ({ active }) => active !== undefined && !active.paused && active.pending.length > 0,
    );
    if (!decoding.some(({ active }) => active?.drafter !== undefined)) return;
    const drafting = decoding.filter(({ active }) => this.#may(active));
    const { capacity, cells } = this.#options;
    const each = guessesEach(decoding.length, drafting.length, capacity);
    for (const slot of drafting) {
      const { active } = slot;
      if (active === undefined) continue;
      const { pending, evalTokens, request } = active;
      // A step does not go where without guesses the context would have been shifted, or the answer ended.
      const room = cells - 1 - slot.tokens.length - pending.length;
      try {
        const most = Math.min(each, room, request.maxTokens - evalTokens - 1);
        active.drafter?.guess(slot, active, most);
      } catch (error) {
        this.#options.fail(slot, error);
      }
    }
  }

  /** A request ends: the next one may have the draft model. */
  leave(active: Active): void {
    if (this.#owner === active) this.#owner = undefined;
  }

  #may(active: Active | undefined): boolean {
    const drafter = active?.drafter;
    if (drafter === undefined) return false;
    if (!drafter.byModel) return true;
    this.#owner ??= active;
    return this.#owner === active;
  }
}

/**
 * Goes through the guesses of a step while the model's own choice is the same.
 * @param next samples and takes the row behind the `n`th guess, which came true
 * @returns how many guesses came true
 */
export function follow(
  slot: Slot,
  active: Active,
  guesses: readonly number[],
  next: (n: number) => void,
): number {
  let right = 0;
  while (slot.active === active) {
    while (right < guesses.length && active.pending[0] === guesses[right]) {
      active.pending.shift();
      active.drafter?.right();
      right++;
    }
    if (active.pending.length > 0) break;
    next(right);
  }
  return right;
}
